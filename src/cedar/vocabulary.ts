import { type CedarRecord, type CedarType, NAMESPACE } from './arg-types.ts';

/** The full name of a type, as everything but a schema's own namespace writes it. */
export const qualified = (type: string): string => `${NAMESPACE}::${type}`;

/** A reference to an entity, as Cedar's JSON formats write it where a schema tells that it is one. */
export type EntityRef = { type: string; id: string };

export const entity = (type: string, id: string): EntityRef => ({ type: qualified(type), id });

const LONG: CedarType = { type: 'Long' };
const STRING: CedarType = { type: 'String' };
const NAMES: CedarType = { type: 'Set', element: STRING };
const entityOf = (name: string): CedarType => ({ type: 'Entity', name });
const LABELS: CedarType = { type: 'Set', element: entityOf('Label') };

type Attributes = CedarRecord['attributes'];

export function recordOf(attributes: Attributes): CedarRecord {
  return { type: 'Record', attributes };
}

/** Entity types that are not closed lists, with what they are members of. */
export const ENTITY_TYPES: Readonly<Record<string, { parents: string[]; attributes: Attributes }>> = {
  Agent: { parents: [], attributes: {} },
  Owner: { parents: [], attributes: {} },
  AgentRun: {
    parents: ['Agent'],
    attributes: { owner: entityOf('Owner'), environment: entityOf('Environment'), depth: LONG },
  },
  Upstream: { parents: [], attributes: { environment: entityOf('Environment') } },
  Tool: { parents: ['Upstream'], attributes: { environment: entityOf('Environment'), labels: LABELS } },
};

/** Records that contexts share, by their name in the schema that policy authors read. */
export const COMMON_TYPES = {
  ArgInfo: recordOf({ nulls: NAMES, opaque: NAMES, unmapped: NAMES, extra: NAMES }),
  Intent: recordOf({ purpose: entityOf('Purpose'), hasTask: { type: 'Boolean' } }),
  RunState: recordOf({
    calls: LONG,
    toolCalls: LONG,
    denials: LONG,
    inFlight: LONG,
    depth: LONG,
    labels: LABELS,
  }),
  LocalTime: recordOf({ weekday: LONG, minute: LONG }),
};

const COMMON_CONTEXT: Attributes = {
  intent: COMMON_TYPES.Intent,
  run: COMMON_TYPES.RunState,
  pop: STRING,
  credential: STRING,
  credentialOutlivesCall: { type: 'Boolean' },
  now: { type: 'Extension', name: 'datetime' },
  local: COMMON_TYPES.LocalTime,
};

/** The context of every method that is not a tool call. */
export const METHOD_CONTEXT = recordOf({
  ...COMMON_CONTEXT,
  uri: { ...STRING, required: false },
  name: { ...STRING, required: false },
});

export function toolContext(args: CedarRecord): CedarRecord {
  return recordOf({ args, argInfo: COMMON_TYPES.ArgInfo, ...COMMON_CONTEXT });
}

/** Action groups of tools and the groups they are in. Each upstream has one more, `upstream:<name>`. */
export const TOOL_GROUPS: Readonly<Record<string, readonly string[]>> = {
  call: [],
  readOnly: ['call'],
  write: ['call'],
  destructive: ['write'],
  openWorld: ['call'],
};

/** Action groups of everything else. */
export const METHOD_GROUPS: Readonly<Record<string, readonly string[]>> = {
  method: [],
  protocol: ['method'],
  list: ['method'],
  read: ['method'],
};

export const toolAction = (upstream: string, tool: string): string => `${upstream}/${tool}`;
export const methodAction = (method: string): string => `method:${method}`;
export const upstreamGroup = (upstream: string): string => `upstream:${upstream}`;
