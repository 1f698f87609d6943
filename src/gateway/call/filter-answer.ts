import { isJsonObject, type JsonObject, type JsonValue } from '../../base/index.ts';
import type { Target } from '../../cedar/index.ts';
import { filterPinned, filterToolsList, keepPrivate, withoutLookAlikes } from '../mcp/index.ts';
import type { JsonRpcMessage, ToolDefinition } from '../upstream/index.ts';
import type { CallDeps } from './deps.ts';
import type { Call } from './resolve-call.ts';

/**
 * Cuts a list down to what the run could be permitted, and serves tools as they were reviewed. Seeing a list
 * is also how the gateway learns that a tool has changed.
 */
export async function filterAnswer(
  call: Call,
  message: JsonRpcMessage,
  deps: CallDeps,
): Promise<JsonRpcMessage> {
  const { target } = call;
  if (target.kind === 'tool' || message['result'] === undefined) return message;
  switch (target.method) {
    case 'initialize':
    case 'server/discover':
      return withReviewedInstructions(message, deps.catalogue.instructions(target.upstream));
    case 'tools/list':
      return filterTools(call, message, deps);
    case 'prompts/list':
      return filterPrompts(call, message, deps);
    case 'resources/list':
      return filterByDecision(call, message, deps, 'resources', (entry) => ({
        method: 'resources/read',
        params: { uri: entry['uri'] ?? null },
      }));
    case 'resources/templates/list':
      return filterByDecision(call, message, deps, 'resourceTemplates', (entry) => ({
        method: 'resources/read',
        params: { uri: entry['uriTemplate'] ?? null },
      }));
    case 'tasks/list':
      return filterTasks(call, message, deps);
    default:
      return message;
  }
}

/** A server may list the tasks of all its clients: a run sees its own. */
function filterTasks({ run, target }: Call, message: JsonRpcMessage, { tasks }: CallDeps): JsonRpcMessage {
  const { result } = message;
  if (!isJsonObject(result)) return { ...message, result: { tasks: [] } };
  const isOwn = (entry: JsonValue): boolean =>
    isJsonObject(entry) && tasks.find(run.id, target.upstream, entry['taskId']) !== undefined;
  const listed = result['tasks'];
  const own = Array.isArray(listed) ? listed.filter(isOwn) : [];
  return { ...message, result: { ...withoutLookAlikes(result, 'tasks'), tasks: own } };
}

/** What a server says to every model is pinned like its tools, or it would be the way around the review. */
function withReviewedInstructions(message: JsonRpcMessage, reviewed: string | undefined): JsonRpcMessage {
  const { result } = message;
  if (!isJsonObject(result)) return message;
  const rest = Object.entries(result).filter(([key]) => key.toLowerCase() !== 'instructions');
  const instructions = reviewed === undefined ? {} : { instructions: reviewed };
  return { ...message, result: { ...Object.fromEntries(rest), ...instructions } };
}

async function filterTools(call: Call, message: JsonRpcMessage, deps: CallDeps): Promise<JsonRpcMessage> {
  const { upstream } = call.target;
  const result = message['result'];
  const seen = isJsonObject(result) && Array.isArray(result['tools']) ? result['tools'] : [];
  const changed = deps.catalogue.observe(upstream, seen.filter(isToolDefinition));
  if (changed.length > 0) {
    deps.log.warn({ upstream, tools: changed }, 'tool definitions differ from the reviewed ones');
  }
  const facts = await deps.history.facts(call.run);
  const visible = deps.pdp.visibleTools(call.caller, facts, upstream, deps.now());
  const allowed = [...visible].filter((tool) => deps.catalogue.review(upstream, tool) === 'pinned');
  return filterToolsList(message, deps.catalogue.tools(upstream), new Set(allowed));
}

/** Prompts as they were reviewed, and only those; to see a list is how the gateway learns that one has changed. */
async function filterPrompts(call: Call, message: JsonRpcMessage, deps: CallDeps): Promise<JsonRpcMessage> {
  const { upstream } = call.target;
  const { prompts } = deps.catalogue;
  const result = message['result'];
  const seen = isJsonObject(result) && Array.isArray(result['prompts']) ? result['prompts'] : [];
  const changed = prompts.observe(upstream, seen.filter(isToolDefinition), false);
  if (changed.length > 0)
    deps.log.warn({ upstream, prompts: changed }, 'prompts differ from the reviewed ones');
  const permitted = await filterByDecision(call, message, deps, 'prompts', (entry) => ({
    method: 'prompts/get',
    params: { name: entry['name'] ?? null },
  }));
  const reviewed = prompts.reviewed(upstream);
  const pinned = [...reviewed.keys()].filter((prompt) => prompts.review(upstream, prompt) === 'pinned');
  return filterPinned(permitted, 'prompts', reviewed, new Set(pinned));
}

function isToolDefinition(value: JsonValue): value is ToolDefinition {
  return isJsonObject(value) && typeof value['name'] === 'string';
}

/** Keeps the entries that this run would now be permitted to use. An odd shape becomes an empty list. */
async function filterByDecision(
  call: Call,
  message: JsonRpcMessage,
  deps: CallDeps,
  field: 'prompts' | 'resources' | 'resourceTemplates',
  use: (entry: JsonObject) => { method: string; params: JsonObject },
): Promise<JsonRpcMessage> {
  const result = message['result'];
  if (!isJsonObject(result)) return { ...message, result: { [field]: [] } };
  const facts = await deps.history.facts(call.run);
  const { caller, port } = call;
  const isPermitted = (entry: JsonValue): boolean => {
    if (!isJsonObject(entry)) return false;
    const target: Target = { kind: 'method', upstream: call.target.upstream, ...use(entry) };
    const credential = port.credential.kind;
    return deps.pdp.decide({ caller, target, facts, credential, now: deps.now() }).effect === 'permit';
  };
  const entries = result[field];
  const kept = Array.isArray(entries) ? entries.filter(isPermitted) : [];
  return { ...message, result: { ...withoutLookAlikes(keepPrivate(result), field), [field]: kept } };
}
