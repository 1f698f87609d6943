import { isJsonObject, type JsonObject, type JsonValue } from '../../base/index.ts';
import type { Explanation, ObservedCall, ToolAnnotations } from '../../cedar/index.ts';
import type { JsonRpcMessage } from '../upstream/index.ts';
import type { CallDeps } from './deps.ts';
import type { Call } from './resolve-call.ts';

type Observed = Pick<Call, 'caller' | 'inbound' | 'target'>;
type ObserveDeps = Pick<CallDeps, 'provenances' | 'catalogue' | 'log'>;

/** Resources, prompts and results of tasks: nobody has said whose words they are. */
const SOMEBODY: ToolAnnotations = {
  effect: 'read',
  sink: 'none',
  resultTrust: 'thirdParty',
  keyArguments: [],
  contentArguments: [],
};

const READING = new Set([
  'resources/read',
  'prompts/get',
  'tasks/result',
  'tasks/get',
  'completion/complete',
]);

/** STEP 4: where the arguments of a tool call come from; undefined means that nobody knows. */
export function explainArguments(
  call: Observed,
  signal: AbortSignal,
  deps: ObserveDeps,
): Explanation | undefined {
  const observed = observedCall(call, deps);
  if (call.target.kind !== 'tool' || observed === undefined || signal.aborted) return undefined;
  return carefully(call, deps, () =>
    deps.provenances.of(call.caller.chain)?.explain(observed.args, observed.annotations),
  );
}

/** What the run sends can come back to it, so it is known before it leaves. */
export function observeArguments(call: Call, deps: ObserveDeps): void {
  const observed = observedCall(call, deps);
  if (call.target.kind !== 'tool' || observed === undefined) return;
  carefully(call, deps, () => deps.provenances.find(call.run)?.observeArguments(observed));
}

/** What comes back is known before the run can use it. */
export function observeResult(call: Call, message: JsonRpcMessage, deps: ObserveDeps): void {
  const observed = observedCall(call, deps);
  const result = message['result'];
  if (observed === undefined || result === undefined) return;
  const { target } = call;
  const labels =
    target.kind === 'tool' ? (deps.catalogue.tools(target.upstream).get(target.tool)?.labels ?? []) : [];
  carefully(call, deps, () =>
    deps.provenances.find(call.run)?.observeResult({
      ...observed,
      result: target.kind === 'tool' ? result : asToolResult(result),
      labels,
    }),
  );
}

function observedCall({ target, inbound }: Observed, { catalogue }: ObserveDeps): ObservedCall | undefined {
  if (target.kind === 'tool') {
    const pin = catalogue.tools(target.upstream).get(target.tool);
    return pin && { call: inbound.call, annotations: pin.annotations, args: target.args };
  }
  if (!READING.has(target.method)) return undefined;
  return { call: inbound.call, annotations: SOMEBODY, args: target.params };
}

/** A value that could not be taken in is `unknown` later: the call it is in then depends on policy. */
function carefully<T>(call: Observed, { log }: ObserveDeps, act: () => T): T | undefined {
  try {
    return act();
  } catch (error) {
    log.error({ err: error, call: call.inbound.call }, 'provenance not taken in');
    return undefined;
  }
}

/** Contents of a resource and messages of a prompt, as the content that a tool's result has. */
function asToolResult(result: JsonValue): JsonValue {
  if (!isJsonObject(result)) return result;
  const { contents, messages } = result;
  const blocks = [...listOf(contents).map(asText), ...listOf(messages).map(contentOf)];
  return blocks.length === 0 ? result : { ...result, content: blocks };
}

function listOf(value: JsonValue | undefined): readonly JsonValue[] {
  return Array.isArray(value) ? value : [];
}

function asText(content: JsonValue): JsonObject {
  const text = isJsonObject(content) ? content['text'] : undefined;
  return { type: 'text', text: typeof text === 'string' ? text : '' };
}

function contentOf(message: JsonValue): JsonValue {
  return isJsonObject(message) ? (message['content'] ?? null) : null;
}
