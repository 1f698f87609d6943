import type { CallId, JsonObject, JsonValue, RunId } from '../base/index.ts';
import type { LogRecord, RecordEnvelope, RefusalRecord } from '../intent-log/index.ts';

/** What the agent got back, or why nobody can say. */
export type RecordedAnswer =
  | { readonly kind: 'result'; readonly value: JsonValue }
  | { readonly kind: 'error'; readonly value: JsonValue }
  /** Notifications and answers get none. */
  | { readonly kind: 'none' }
  | { readonly kind: 'lost'; readonly why: string };

/** One request of a run as it was. */
export type RecordedCall = {
  /** Place among the calls of its run, from 1. */
  readonly number: number;
  readonly call: CallId;
  readonly upstream: string;
  readonly method: string;
  readonly tool?: string;
  /** RFC 8785 form; undefined when it was not kept. */
  readonly args?: string;
  readonly answer: RecordedAnswer;
  /** Index of the intent or refusal. */
  readonly begun: number;
  /** Index of the record after which the agent had its answer; infinite when it never had. */
  readonly ended: number;
};

/** A run and what it did. */
export type RecordedRun = {
  readonly run: RunId;
  readonly agent: string;
  readonly parent?: RunId;
  readonly calls: readonly RecordedCall[];
};

/** Finds what is kept of what a record says: the text, or why there is none. */
export type FindContent = (
  record: LogRecord,
) =>
  | { readonly state: 'kept'; readonly text: string; readonly isRedacted: boolean }
  | { readonly state: Lost };

type Lost = 'not-kept' | 'too-large' | 'erased' | 'missing' | 'altered';

const WHY: Readonly<Record<Lost, string>> = {
  'not-kept': 'it was not kept',
  'too-large': 'it was too large to be kept',
  erased: 'it was erased',
  missing: 'it was kept and is missing',
  altered: 'what is kept is not what the record commits to',
};

type Draft = { -readonly [K in keyof RecordedCall]: RecordedCall[K] };

/** The runs of a delegation tree in the order in which they began, from records in log order. */
export function readRecording(records: readonly LogRecord[], find: FindContent): RecordedRun[] {
  const runs = new Map<RunId, Omit<RecordedRun, 'calls'> & { calls: Draft[] }>();
  const drafts = new Map<CallId, Draft>();
  for (const record of records) {
    if (record.type === 'run.open') {
      const { run, agent, parent } = record;
      runs.set(run, { run, agent, ...(parent === undefined ? {} : { parent }), calls: [] });
    } else if (record.type === 'intent' || record.type === 'refusal') {
      const calls = record.run === undefined ? undefined : runs.get(record.run)?.calls;
      if (calls === undefined || record.run === undefined || record.subject === undefined) continue;
      if (record.subject.method === 'GET' || record.subject.method === 'DELETE') continue;
      const args = find(record);
      const { upstream, method, tool } = record.subject;
      const draft: Draft = {
        number: calls.length + 1,
        call: record.call,
        upstream,
        method,
        ...(tool === undefined ? {} : { tool }),
        ...(args.state === 'kept' && !args.isRedacted ? { args: args.text } : {}),
        answer: record.type === 'refusal' ? refusalAnswer(record) : unanswered(record.rpcId),
        begun: record.idx,
        ended: record.type === 'refusal' ? record.idx : Number.POSITIVE_INFINITY,
      };
      calls.push(draft);
      drafts.set(record.call, draft);
    } else if (record.type === 'outcome') {
      const draft = drafts.get(record.call);
      if (draft === undefined) continue;
      draft.ended = record.idx;
      if (draft.answer.kind === 'none') continue;
      const found = find(record);
      if (found.state !== 'kept') draft.answer = { kind: 'lost', why: lost(record.status, found.state) };
      else if (found.isRedacted) draft.answer = { kind: 'lost', why: 'only a redacted form of it was kept' };
      else
        draft.answer = {
          kind: record.status === 'rpc_error' ? 'error' : 'result',
          value: JSON.parse(found.text),
        };
    }
  }
  return [...runs.values()];
}

function unanswered(rpcId: string | number | undefined): RecordedAnswer {
  return rpcId === undefined ? { kind: 'none' } : { kind: 'lost', why: 'the call has no outcome' };
}

function lost(status: string, state: Lost): string {
  return state === 'not-kept' && status !== 'ok' && status !== 'tool_error'
    ? `the call ended as ${status}`
    : WHY[state];
}

/** What the agent was told, made again from the decision; a refusal before policy is not about a run's task. */
function refusalAnswer({
  v,
  subject,
  decision,
  early,
  call,
  rpcId,
}: RefusalRecord & Pick<RecordEnvelope, 'v'>): RecordedAnswer {
  if (rpcId === undefined) return { kind: 'none' };
  if (decision === undefined)
    return { kind: 'lost', why: `it was refused before policy: ${early?.reason ?? ''}` };
  const { effect, code = null, reason = '' } = decision;
  const callHash = v === 1 ? decision.callHash : undefined; // later ones only commit to it
  const help = effect === 'ask' ? '; an approval of exactly this call would help' : '';
  const text = `refused by policy: ${reason} (${String(code)})${help}`;
  const explained: JsonObject = {
    code,
    reason,
    call,
    approvalWouldHelp: effect === 'ask',
    ...(callHash === undefined ? {} : { callHash }),
  };
  const data: JsonObject = { 'sallyport/refusal': explained };
  if (subject?.tool !== undefined) {
    const content = [{ type: 'text', text }];
    return { kind: 'result', value: { resultType: 'complete', content, isError: true, _meta: data } };
  }
  return code === 'unknown_method'
    ? { kind: 'error', value: { code: -32601, message: 'method not found', data } }
    : { kind: 'error', value: { code: 403, message: text, data } };
}
