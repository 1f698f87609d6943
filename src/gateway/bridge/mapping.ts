/** What becomes of a client's message at an upstream of the other era. docs/era-bridge.md lists the same. */
export type Mapping =
  /** The same method, in the other era's envelope. */
  | { readonly kind: 'same' }
  /** Another message, which the bridge makes of it. */
  | { readonly kind: 'becomes'; readonly what: string }
  /** The gateway answers: the other era has the meaning without the message. */
  | { readonly kind: 'here' }
  | { readonly kind: 'refused'; readonly why: string };

const SAME: Mapping = { kind: 'same' };
const HERE: Mapping = { kind: 'here' };
const becomes = (what: string): Mapping => ({ kind: 'becomes', what });
const refused = (why: string): Mapping => ({ kind: 'refused', why });

const NO_TASKS = refused('tasks of 2025-11-25 and of the tasks extension do not follow from each other');

const BOTH_ERAS: readonly (readonly [string, Mapping])[] = [
  ['tools/list', SAME],
  ['tools/call', SAME],
  ['prompts/list', SAME],
  ['prompts/get', SAME],
  ['resources/list', SAME],
  ['resources/templates/list', SAME],
  ['resources/read', SAME],
  ['completion/complete', SAME],
];

/** A client of 2025-11-25 or older at an upstream that speaks 2026-07-28 only. */
export const FROM_LEGACY: ReadonlyMap<string, Mapping> = new Map([
  ...BOTH_ERAS,
  ['initialize', becomes('server/discover')],
  ['response', becomes('retry')],
  ['GET', becomes('subscriptions/listen')],
  ['resources/subscribe', becomes('subscriptions/listen')],
  ['resources/unsubscribe', becomes('subscriptions/listen')],
  ['notifications/cancelled', becomes('end of the request')],
  ['DELETE', HERE],
  ['ping', HERE],
  ['logging/setLevel', HERE],
  ['notifications/initialized', HERE],
  ['notifications/roots/list_changed', HERE],
  [
    'notifications/progress',
    refused('2026-07-28 has no requests of servers whose progress a client could tell'),
  ],
  ['tasks/get', NO_TASKS],
  ['tasks/result', NO_TASKS],
  ['tasks/list', NO_TASKS],
  ['tasks/cancel', NO_TASKS],
]);

/** A client of 2026-07-28 at an upstream that speaks 2025-11-25 or older only. */
export const FROM_MODERN: ReadonlyMap<string, Mapping> = new Map([
  ...BOTH_ERAS,
  ['server/discover', becomes('initialize')],
  ['subscriptions/listen', becomes('GET')],
  ['notifications/cancelled', HERE],
  ['tasks/get', NO_TASKS],
  ['tasks/update', NO_TASKS],
  ['tasks/cancel', NO_TASKS],
]);

/** What a server may ask for in the middle of a call, in either era. */
export const QUESTIONS: ReadonlySet<string> = new Set([
  'elicitation/create',
  'sampling/createMessage',
  'roots/list',
]);

/** The requests that a server may interrupt with questions (2026-07-28, patterns/mrtr § Supported Requests). */
export const INTERRUPTIBLE: ReadonlySet<string> = new Set(['tools/call', 'prompts/get', 'resources/read']);

/** Never guesses: what is not in the table is refused. */
export function mappingOf(table: ReadonlyMap<string, Mapping>, method: string): Mapping {
  return (
    table.get(method) ?? refused(`nobody knows what ${method} is in the revision that the upstream speaks`)
  );
}
