import type { CallId, JsonObject, RunId } from '../base/index.ts';
import type {
  Commitment,
  DecisionEntry,
  IntentRecord,
  LogRecord,
  OutcomeRecord,
  OutcomeStatus,
  RefusalRecord,
  RunCloseRecord,
  RunOpenRecord,
  Subject,
} from './record.ts';

/** One request of a run: what it asked, why it was answered so, what became of it. */
export type CausalCall = {
  readonly kind: 'call';
  readonly idx: number;
  readonly at: string;
  readonly call: CallId;
  readonly subject?: Subject;
  /** `refused`: before policy had its say; `reason` then tells why. */
  readonly effect: 'permit' | 'forbid' | 'ask' | 'refused';
  readonly policies: readonly string[];
  readonly code?: string;
  readonly reason?: string;
  readonly detail?: string;
  /** Taint labels that the answer put on the delegation tree. */
  readonly labels?: readonly string[];
  /** Where key arguments and content come from, by path. */
  readonly provenance?: JsonObject;
  /** The earlier call that this one carries on. */
  readonly continues?: CallId;
  /** Missing while the call is under way; a refusal has none. */
  readonly outcome?: CausalOutcome;
  /** For a refusal: microseconds until it was given. */
  readonly micros?: number;
};

export type CausalOutcome = {
  readonly idx: number;
  readonly status: OutcomeStatus;
  /** Id of the credential minted for this call. */
  readonly credential?: string;
  readonly result?: Commitment;
  readonly micros: number;
  readonly detail?: string;
};

/** One run with what it did, in order; runs it delegated to stand where they began. */
export type CausalRun = {
  readonly kind: 'run';
  readonly idx: number;
  readonly at: string;
  readonly opened: RunOpenRecord;
  readonly closed?: { readonly at: string } & Pick<RunCloseRecord, 'state' | 'by' | 'reason'>;
  readonly steps: readonly (CausalCall | CausalRun)[];
};

/** A delegation tree rebuilt from the log. */
export type CausalTree = { readonly asked: RunId; readonly root: CausalRun };

type Draft<T> = { -readonly [K in keyof T]: T[K] };
type DraftRun = Draft<CausalRun> & { steps: (CausalCall | CausalRun)[] };

/**
 * Rebuilds the delegation tree that a run belongs to from records alone, in log order; records of other trees
 * may be among them. Undefined when the log does not have the start of the run.
 */
export function buildCausalTree(records: Iterable<LogRecord>, run: RunId): CausalTree | undefined {
  const runs = new Map<RunId, DraftRun>();
  const calls = new Map<CallId, Draft<CausalCall>>();
  for (const record of records) addRecord(record, runs, calls);
  let root = runs.get(run);
  if (root === undefined) return undefined;
  for (let above = parentOf(root, runs); above !== undefined; above = parentOf(root, runs)) root = above;
  return { asked: run, root };
}

function addRecord(
  record: LogRecord,
  runs: Map<RunId, DraftRun>,
  calls: Map<CallId, Draft<CausalCall>>,
): void {
  switch (record.type) {
    case 'run.open': {
      const { idx, at } = record;
      const draft: DraftRun = { kind: 'run', idx, at, opened: record, steps: [] };
      if (runs.has(record.run)) return;
      parentOf(draft, runs)?.steps.push(draft);
      runs.set(record.run, draft);
      return;
    }
    case 'run.close': {
      const { at, state, by, reason } = record;
      const draft = runs.get(record.run);
      if (draft !== undefined) draft.closed = { at, state, by, reason };
      return;
    }
    case 'intent': {
      const draft = permittedCall(record);
      calls.set(record.call, draft);
      runs.get(record.run)?.steps.push(draft);
      return;
    }
    case 'outcome': {
      const draft = calls.get(record.call);
      if (draft !== undefined) draft.outcome = outcomeOf(record);
      return;
    }
    case 'taint': {
      const draft = calls.get(record.call);
      if (draft !== undefined) draft.labels = [...new Set([...(draft.labels ?? []), ...record.labels])];
      return;
    }
    case 'refusal':
      if (record.run !== undefined) runs.get(record.run)?.steps.push(refusedCall(record));
      return;
    default:
      return; // records about the gateway itself
  }
}

/** A parent begins before its child; the check keeps a forged record from making a circle. */
function parentOf(run: CausalRun, runs: Map<RunId, DraftRun>): DraftRun | undefined {
  const parent = run.opened.parent === undefined ? undefined : runs.get(run.opened.parent);
  return parent !== undefined && parent.idx < run.idx ? parent : undefined;
}

function permittedCall(record: IntentRecord & { idx: number; at: string }): Draft<CausalCall> {
  const { idx, at, call, subject, decision, labels, provenance, continues } = record;
  const taint = labels === undefined ? {} : { labels };
  const flow = provenance === undefined ? {} : { provenance };
  const origin = continues === undefined ? {} : { continues };
  return { kind: 'call', idx, at, call, subject, ...explain(decision), ...taint, ...flow, ...origin };
}

function refusedCall(record: RefusalRecord & { idx: number; at: string }): CausalCall {
  const { idx, at, call, subject, decision, early, micros } = record;
  const asked = subject === undefined ? {} : { subject };
  const why =
    decision === undefined ? { effect: 'refused' as const, policies: [], ...early } : explain(decision);
  return { kind: 'call', idx, at, call, ...asked, ...why, micros };
}

function explain(decision: DecisionEntry): Omit<DecisionEntry, 'revision'> {
  const { revision: _, ...rest } = decision;
  return rest;
}

function outcomeOf(record: OutcomeRecord & { idx: number }): CausalOutcome {
  const { idx, status, credential, result, micros, detail } = record;
  return {
    idx,
    status,
    micros,
    ...(credential === undefined ? {} : { credential: credential.id }),
    ...(result === undefined ? {} : { result }),
    ...(detail === undefined ? {} : { detail }),
  };
}
