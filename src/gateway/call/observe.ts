import { setImmediate as nextTurn } from 'node:timers/promises';
import { isJsonObject, type JsonObject, type JsonValue } from '../../base/index.ts';
import {
  ANSWERING_METHODS,
  type Explanation,
  type ObservedCall,
  type ObservedResult,
  type Target,
  type ToolAnnotations,
} from '../../cedar/index.ts';
import type { JsonRpcMessage } from '../upstream/index.ts';
import type { CallDeps } from './deps.ts';
import { isWordless, labelsBeside, labelsOf } from './labels.ts';
import type { Call } from './resolve-call.ts';

type ObserveDeps = Pick<CallDeps, 'provenances' | 'catalogue' | 'log'>;
type Asked = Pick<Call, 'target' | 'caller'> & { readonly inbound: Pick<Call['inbound'], 'call'> };

/** Resources, prompts and results of tasks: nobody has said whose words they are. */
const SOMEBODY: ToolAnnotations = {
  effect: 'read',
  sink: 'none',
  resultTrust: 'thirdParty',
  keyArguments: [],
  contentArguments: [],
};

/** Answers: they leave, and may come back. */
const TOLD: ToolAnnotations = { ...SOMEBODY, effect: 'write', sink: 'external' };

/**
 * STEP 4: where the arguments of a tool call come from; undefined means that nobody knows. Resolves when all of it is
 * known: long arguments are looked at a part at a time, so that other calls get their turn.
 */
export async function explainArguments(
  call: Asked,
  signal: AbortSignal,
  deps: ObserveDeps,
): Promise<Explanation | undefined> {
  const observed = observedCall(call, deps);
  const { target } = call;
  const answers = answersOf(target);
  if (signal.aborted || observed === undefined) return undefined;
  if (target.kind !== 'tool' && answers === undefined) return undefined;
  const args = target.kind === 'tool' ? target.args : {};
  try {
    const index = deps.provenances.of(call.caller.chain);
    return index && (await inTurns(index.explaining(args, observed.annotations, answers), signal));
  } catch (error) {
    giveUpOn(call, error, deps);
    return undefined;
  }
}

/** Goes through with it and lets others go between; undefined when it was cut off in the middle. */
async function inTurns<T>(turns: Iterator<undefined, T>, signal?: AbortSignal): Promise<T | undefined> {
  for (let turn = turns.next(); ; turn = turns.next()) {
    if (turn.done === true) return turn.value;
    await nextTurn();
    if (signal?.aborted === true) return undefined;
  }
}

/**
 * What is said to a question of the upstream, in the retry of a call, on a session or to a task. A client says that a
 * person typed it; nobody can tell, so it is held to what vouches for an argument.
 */
function answersOf(target: Target): JsonValue | undefined {
  if (target.kind === 'tool') return target.beside?.['inputResponses'];
  if (!ANSWERING_METHODS.has(target.method)) return undefined;
  return target.method === 'response' ? target.params : (target.params['inputResponses'] ?? null);
}

/** What the run sends can come back to it, so it is known before it leaves: resolves when all of it is taken in. */
export async function observeArguments(call: Call, deps: ObserveDeps): Promise<void> {
  const observed = observedCall(call, deps);
  const { target } = call;
  if (observed === undefined || (target.kind !== 'tool' && answersOf(target) === undefined)) return;
  const sent = target.kind === 'tool' ? observed : { ...observed, annotations: TOLD };
  try {
    const index = deps.provenances.find(call.run);
    if (index !== undefined) await inTurns(index.observingArguments(sent));
  } catch (error) {
    giveUpOn(call, error, deps);
  }
}

/** What comes back is known before the run can use it: resolves when all of it is taken in. */
export function observeResult(call: Call, message: JsonRpcMessage, deps: ObserveDeps): Promise<void> {
  return takeIn(call, deps, () => {
    const observed = observedCall(call, deps);
    const result = message['result'];
    if (observed === undefined || result === undefined) return [];
    const labels = labelsOf(call, deps);
    const parts = call.target.kind === 'tool' ? toolResults(result) : otherResults(result);
    return parts.map((part) => ({ ...observed, result: part, labels }));
  });
}

/**
 * So is what is said beside the answer: progress, logging, what a server asks of its client, errors. It vouches for
 * nothing, and what it points at is pointed at by somebody else.
 */
export function observeBeside(
  call: Call,
  message: JsonRpcMessage,
  deps: ObserveDeps & Pick<CallDeps, 'tasks'>,
): Promise<void> {
  return takeIn(call, deps, () => {
    const said = message['params'] ?? message['error'];
    if (said === undefined) return [];
    const labels = labelsBeside(call, message, deps);
    return [{ call: call.inbound.call, annotations: SOMEBODY, args: {}, result: asWords(said), labels }];
  });
}

/** A large result is taken in a part at a time, so that other calls get their turn. */
async function takeIn(call: Call, deps: ObserveDeps, read: () => readonly ObservedResult[]): Promise<void> {
  try {
    const index = deps.provenances.find(call.run);
    if (index === undefined) return;
    for (const observed of read()) await inTurns(index.observing(observed));
  } catch (error) {
    giveUpOn(call, error, deps);
  }
}

function observedCall({ target, inbound }: Asked, { catalogue }: ObserveDeps): ObservedCall | undefined {
  if (target.kind === 'tool') {
    const pin = catalogue.tools(target.upstream).get(target.tool);
    const { args, beside } = target;
    const sent = beside === undefined ? args : { ...args, beside };
    return pin && { call: inbound.call, annotations: pin.annotations, args: sent };
  }
  if (isWordless(target.method) && answersOf(target) === undefined) return undefined;
  return { call: inbound.call, annotations: SOMEBODY, args: target.params };
}

/** What could not be taken in may be anything, so no result of the tree vouches from then on. */
function giveUpOn(call: Asked, error: unknown, { log, provenances }: ObserveDeps): void {
  log.error({ err: error, call: call.inbound.call }, 'provenance not taken in');
  provenances.find(call.caller.chain[0])?.observeGap();
}

const RESULT_FIELDS = new Set(['content', 'structuredContent', 'isError', '_meta', 'resultType']);

/** A tool's result, and the words in it that are not where results have them: a question, the state of a task. */
function toolResults(result: JsonValue): readonly JsonValue[] {
  if (!isJsonObject(result)) return [asWords(result)];
  const rest = Object.entries(result).filter(([name]) => !RESULT_FIELDS.has(name));
  const links = listOf(result['content']).filter(
    (block) => isJsonObject(block) && block['type'] === 'resource_link',
  );
  const words = [...rest.map(([, value]) => value), ...links];
  return words.length === 0 ? [result] : [result, asWords(words)];
}

/** Contents of a resource, messages of a prompt and results of a task, as a tool would answer them; else the words. */
function otherResults(result: JsonValue): readonly JsonValue[] {
  if (!isJsonObject(result)) return [asWords(result)];
  const { contents, messages, result: inner } = result;
  const blocks = [...listOf(contents).map(asText), ...listOf(messages).map(contentOf)];
  if (blocks.length > 0) return [{ ...result, content: blocks }];
  if (isJsonObject(inner)) return [...toolResults(inner), asWords({ ...result, result: null })];
  return toolResults(result);
}

/** All strings in it, as nothing but text. */
function asWords(value: JsonValue): JsonObject {
  const text: string[] = [];
  const stack: JsonValue[] = [value];
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    if (typeof next === 'string') text.push(next);
    else if (typeof next === 'object' && next !== null)
      for (const part of Object.values(next)) stack.push(part);
  }
  return { structuredContent: { text } };
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
