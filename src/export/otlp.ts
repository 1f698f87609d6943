import { hash } from 'node:crypto';
import type { JsonObject, JsonValue } from '../base/index.ts';
import type {
  IntentRecord,
  LogRecord,
  OutcomeRecord,
  RefusalRecord,
  RunOpenRecord,
} from '../intent-log/index.ts';

/** What is still open of runs and calls: their spans are sent when they end. */
export type OpenSpans = {
  readonly runs: Map<string, RunOpenRecord & { readonly at: string; readonly idx: number }>;
  readonly calls: Map<string, IntentRecord & { readonly at: string; readonly idx: number }>;
};

const SERVER = 2;
const INTERNAL = 1;
const OK = 1;
const ERROR = 2;
/** A receiver drops spans whose ids are all zeros, and then a client could keep its calls out of the traces. */
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}$/;
const RUN_IN_SPIFFE_ID = /\/run\/([0-9A-Z]+)$/;

/**
 * The span that a record ends, if any (OTLP/JSON, OpenTelemetry semantic conventions for MCP and GenAI). A call
 * goes into the trace that its client named, else into that of its root run; `sallyport.run` is on every span,
 * and no client can choose it.
 */
export function takeSpan(record: LogRecord, open: OpenSpans): JsonObject | undefined {
  switch (record.type) {
    case 'run.open':
      open.runs.set(record.run, record);
      return undefined;
    case 'intent':
      open.calls.set(record.call, record);
      return undefined;
    case 'outcome': {
      const intent = open.calls.get(record.call);
      open.calls.delete(record.call);
      return intent === undefined ? undefined : callSpan(intent, record, open);
    }
    case 'refusal':
      return refusalSpan(record, open);
    case 'run.close': {
      const opened = open.runs.get(record.run);
      open.runs.delete(record.run);
      return opened === undefined ? undefined : runSpan(opened, record);
    }
    default:
      return undefined;
  }
}

/** The body of a request to an OTLP/HTTP receiver (`POST /v1/traces`, `application/json`). */
export function tracesRequest(spans: readonly JsonObject[], version: string): JsonObject {
  const attributes = attributesOf({ 'service.name': 'sallyport', 'service.version': version });
  return {
    resourceSpans: [
      {
        resource: { attributes },
        scopeSpans: [{ scope: { name: 'sallyport', version }, spans: [...spans] }],
      },
    ],
  };
}

function callSpan(
  intent: IntentRecord & { readonly at: string },
  outcome: OutcomeRecord & { readonly at: string },
  open: OpenSpans,
): JsonObject {
  const { subject, actor, decision } = intent;
  const isGood = outcome.status === 'ok';
  return {
    ...placeOf(intent, intent.traceparent, open),
    name: spanName(subject.method, subject.tool),
    kind: SERVER,
    startTimeUnixNano: nanos(Date.parse(outcome.at) - outcome.micros / 1000),
    endTimeUnixNano: nanos(Date.parse(outcome.at)),
    attributes: attributesOf({
      ...mcpAttributes(subject.method, subject.tool, intent.rpcId),
      'mcp.protocol.version': intent.destination?.protocol,
      ...runAttributes(intent.run, actor.agent, intent.call),
      'sallyport.upstream': subject.upstream,
      'sallyport.decision': decision.effect,
      'sallyport.policies': decision.policies,
      'sallyport.policy_revision': decision.revision,
      'sallyport.outcome': outcome.status,
      'sallyport.credential.kind': outcome.credential?.kind,
      'error.type': isGood ? undefined : outcome.status,
    }),
    status: isGood ? { code: OK } : { code: ERROR, message: outcome.status },
  };
}

function refusalSpan(record: RefusalRecord & { readonly at: string }, open: OpenSpans): JsonObject {
  const { subject, decision, early, micros, at } = record;
  const reason = decision?.code ?? early?.reason ?? 'refused';
  const method = subject?.method ?? 'unknown';
  return {
    ...placeOf(record, undefined, open),
    name: spanName(method, subject?.tool),
    kind: SERVER,
    startTimeUnixNano: nanos(Date.parse(at) - micros / 1000),
    endTimeUnixNano: nanos(Date.parse(at)),
    attributes: attributesOf({
      ...mcpAttributes(method, subject?.tool, record.rpcId),
      ...runAttributes(record.run, record.actor?.agent, record.call),
      'sallyport.upstream': subject?.upstream,
      'sallyport.decision': decision?.effect ?? 'refused',
      'sallyport.policies': decision?.policies,
      'sallyport.policy_revision': decision?.revision,
      'error.type': reason,
    }),
    status: { code: ERROR, message: reason },
  };
}

function runSpan(
  opened: RunOpenRecord & { readonly at: string },
  closed: LogRecord & { type: 'run.close' },
): JsonObject {
  const parent = opened.parent === undefined ? {} : { parentSpanId: spanId(opened.parent) };
  return {
    traceId: traceId(opened.root),
    spanId: spanId(opened.run),
    ...parent,
    name: `invoke_agent ${opened.agent}`,
    kind: INTERNAL,
    startTimeUnixNano: nanos(Date.parse(opened.at)),
    endTimeUnixNano: nanos(Date.parse(closed.at)),
    attributes: attributesOf({
      ...runAttributes(opened.run, opened.agent, undefined),
      'gen_ai.operation.name': 'invoke_agent',
      'sallyport.owner': opened.owner.name,
      'sallyport.purpose': opened.purpose,
      'sallyport.run.root': opened.root,
      'sallyport.run.state': closed.state,
    }),
    status: closed.state === 'ended' ? { code: OK } : { code: ERROR, message: closed.state },
  };
}

function mcpAttributes(method: string, tool: string | undefined, rpcId: string | number | undefined) {
  return {
    'mcp.method.name': method,
    'gen_ai.operation.name': tool === undefined ? undefined : 'execute_tool',
    'gen_ai.tool.name': tool,
    'jsonrpc.request.id': rpcId === undefined ? undefined : String(rpcId),
  };
}

function runAttributes(run: string | undefined, agent: string | undefined, call: string | undefined) {
  return {
    'sallyport.run': run,
    'sallyport.call': call,
    'gen_ai.agent.id': agent,
    'gen_ai.agent.name': agent,
    'gen_ai.conversation.id': run,
  };
}

/** A call that names no trace hangs below the span of its run, which may be over; a call of no run is a trace by itself. */
function placeOf(
  { call, run, actor }: Pick<RefusalRecord, 'call' | 'run' | 'actor'>,
  traceparent: string | undefined,
  { runs }: OpenSpans,
): JsonObject {
  const named = TRACEPARENT.exec(traceparent ?? '');
  if (named !== null) {
    return { traceId: named[1] as string, spanId: spanId(call), parentSpanId: named[2] as string };
  }
  if (run === undefined) return { traceId: traceId(call), spanId: spanId(call) };
  const root = runs.get(run)?.root ?? RUN_IN_SPIFFE_ID.exec(actor?.chain.at(-1) ?? '')?.[1] ?? run;
  return { traceId: traceId(root), spanId: spanId(call), parentSpanId: spanId(run) };
}

function spanName(method: string, tool: string | undefined): string {
  return tool === undefined ? method : `${method} ${tool}`;
}

function traceId(run: string): string {
  return hash('sha256', `trace ${run}`, 'hex').slice(0, 32);
}

function spanId(id: string): string {
  return hash('sha256', `span ${id}`, 'hex').slice(0, 16);
}

/** OTLP/JSON writes 64-bit numbers as text. */
function nanos(millis: number): string {
  return String(BigInt(Math.round(millis * 1000)) * 1000n);
}

function attributesOf(values: {
  readonly [key: string]: string | readonly string[] | undefined;
}): JsonObject[] {
  return Object.entries(values).flatMap(([key, value]) =>
    value === undefined ? [] : [{ key, value: anyValue(value) }],
  );
}

function anyValue(value: string | readonly string[]): JsonValue {
  if (typeof value === 'string') return { stringValue: value };
  return { arrayValue: { values: value.map((each) => ({ stringValue: each })) } };
}
