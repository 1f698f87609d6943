/** Action groups of the MCP methods that are not tool calls (docs/policy.md). */
export type MethodGroup = 'protocol' | 'list' | 'read';

/** The legs of a connection that carry no JSON-RPC method, as a policy names them. */
const LEGS = ['GET', 'DELETE', 'response'];

const PROTOCOL = [
  'initialize',
  'ping',
  'logging/setLevel',
  'server/discover',
  'notifications/initialized',
  'notifications/cancelled',
  'notifications/progress',
  'notifications/message',
  'notifications/roots/list_changed',
  'notifications/tools/list_changed',
  'notifications/prompts/list_changed',
  'notifications/resources/list_changed',
  'notifications/resources/updated',
  'notifications/subscriptions/acknowledged',
  'notifications/elicitation/complete',
  'notifications/tasks/status',
  ...LEGS,
];

const LIST = ['tools/list', 'prompts/list', 'resources/list', 'resources/templates/list'];

const READ = [
  'resources/read',
  'resources/subscribe',
  'resources/unsubscribe',
  'subscriptions/listen',
  'prompts/get',
  'completion/complete',
  'tasks/get',
  'tasks/list',
  'tasks/result',
  'tasks/cancel',
  'tasks/update',
];

/** Every method of the MCP revisions 2024-11-05 to 2026-07-28 that a client may send, `tools/call` apart. */
export const MCP_METHODS: ReadonlyMap<string, MethodGroup> = new Map([
  ...PROTOCOL.map((method) => [method, 'protocol'] as const),
  ...LIST.map((method) => [method, 'list'] as const),
  ...READ.map((method) => [method, 'read'] as const),
]);

/** Those that carry answers to an upstream's questions, of sessions and of tasks: they reach as far as arguments. */
export const ANSWERING_METHODS: ReadonlySet<string> = new Set(['response', 'tasks/update']);

/** A parameter that policies may read, and the methods that carry it. */
export type MethodParam = 'uri' | 'name';

export function paramOf(method: string): MethodParam | undefined {
  switch (method) {
    case 'resources/read':
    case 'resources/subscribe':
    case 'resources/unsubscribe':
      return 'uri';
    case 'prompts/get':
      return 'name';
    default:
      return undefined;
  }
}
