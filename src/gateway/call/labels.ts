import type { JsonRpcMessage } from '../upstream/index.ts';
import type { CallDeps } from './deps.ts';
import type { Call } from './resolve-call.ts';
import { taskNotified } from './tasks.ts';

/** What is answered with reviewed text or with none: only what comes beside the answer can bring words of others. */
const WORDLESS: ReadonlySet<string> = new Set([
  'GET',
  'DELETE',
  'response',
  'initialize',
  'ping',
  'logging/setLevel',
  'server/discover',
  'tools/list',
  'prompts/list',
  'resources/subscribe',
  'resources/unsubscribe',
  'subscriptions/listen',
]);

/** Messages of servers that have no text of theirs in them. */
const QUIET: ReadonlySet<string> = new Set([
  'ping',
  'roots/list',
  'notifications/tools/list_changed',
  'notifications/prompts/list_changed',
  'notifications/resources/list_changed',
  'notifications/subscriptions/acknowledged',
]);

/** The labels that the answer to a call carries: those of its tool or task, and those of its upstream. */
export function labelsOf(
  { target, origin }: Call,
  { catalogue }: Pick<CallDeps, 'catalogue'>,
): readonly string[] {
  const ofUpstream = catalogue.labels(target.upstream);
  if (target.kind === 'tool') {
    const ofTool = catalogue.tools(target.upstream).get(target.tool)?.labels ?? [];
    return ofUpstream.length === 0 ? ofTool : union(ofTool, ofUpstream);
  }
  if (origin !== undefined) return union(origin.labels, ofUpstream);
  return isWordless(target.method) ? [] : ofUpstream;
}

/** Is the answer to a method without words that nobody has reviewed? */
export function isWordless(method: string): boolean {
  return WORDLESS.has(method) || method.startsWith('notifications/');
}

/** The labels of a message that is not the expected answer. */
export function labelsBeside(
  { run, target }: Call,
  message: JsonRpcMessage,
  { catalogue, tasks }: Pick<CallDeps, 'catalogue' | 'tasks'>,
): readonly string[] {
  const { method } = message;
  if (typeof method === 'string' && QUIET.has(method)) return [];
  const ofUpstream = catalogue.labels(target.upstream);
  const task = taskNotified(message);
  const origin = task === undefined ? undefined : tasks.find(run.id, target.upstream, task.taskId);
  return origin === undefined ? ofUpstream : union(origin.labels, ofUpstream);
}

/**
 * Taints the delegation tree before a message that is not the expected answer reaches the run: what a server says on a
 * stream of its own, what it asks of its client, an error where reviewed text was due. Resolves when that is durable.
 * What the intent, or an earlier message, has put on the tree is not put there again.
 */
export function createTainting(
  call: Call,
  deps: Pick<CallDeps, 'catalogue' | 'history' | 'intentLog' | 'tasks'>,
): (message: JsonRpcMessage) => Promise<void> {
  const { run, inbound } = call;
  const known = new Set(labelsOf(call, deps));
  return async (message) => {
    const labels = labelsBeside(call, message, deps).filter((label) => !known.has(label));
    if (labels.length === 0) return;
    await deps.history.taint(run, labels);
    await deps.intentLog.append({ type: 'taint', call: inbound.call, run: run.id, labels });
    for (const label of labels) known.add(label);
  };
}

function union(a: readonly string[], b: readonly string[]): readonly string[] {
  return [...new Set([...a, ...b])].sort();
}
