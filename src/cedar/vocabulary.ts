import { type CedarRecord, type CedarType, NAMESPACE } from './arg-types.ts';

/** The full name of a type, as everything but a schema's own namespace writes it. */
export const qualified = (type: string): string => `${NAMESPACE}::${type}`;

/** A reference to an entity, as Cedar's JSON formats write it where a schema tells that it is one. */
export type EntityRef = { type: string; id: string };

export const entity = (type: string, id: string): EntityRef => ({ type: qualified(type), id });

const LONG: CedarType = { type: 'Long' };
const STRING: CedarType = { type: 'String' };
const BOOLEAN: CedarType = { type: 'Boolean' };
const DATETIME: CedarType = { type: 'Extension', name: 'datetime' };
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
    attributes: {
      owner: entityOf('Owner'),
      ownerKind: STRING,
      environment: entityOf('Environment'),
      depth: LONG,
    },
  },
  Upstream: { parents: [], attributes: { environment: entityOf('Environment') } },
  Tool: { parents: ['Upstream'], attributes: { environment: entityOf('Environment'), labels: LABELS } },
};

/** Records that contexts share, by their name in the schema that policy authors read. */
export const COMMON_TYPES = {
  ArgInfo: recordOf({ nulls: NAMES, opaque: NAMES, unmapped: NAMES, extra: NAMES }),
  Intent: recordOf({
    purpose: entityOf('Purpose'),
    hasTask: BOOLEAN,
    capabilities: { type: 'Set', element: entityOf('Capability') },
    addressees: NAMES,
    sources: NAMES,
    inferred: BOOLEAN,
    strict: BOOLEAN,
  }),
  ToolFacts: recordOf({
    effect: entityOf('Effect'),
    sink: entityOf('Sink'),
    resultTrust: entityOf('ResultTrust'),
    capability: entityOf('Capability'),
    reviewed: BOOLEAN,
  }),
  Provenance: recordOf({
    worst: STRING,
    address: STRING,
    identifier: STRING,
    content: STRING,
    sources: NAMES,
    labels: LABELS,
  }),
  Derived: recordOf({
    paths: NAMES,
    folders: NAMES,
    climbs: BOOLEAN,
    hosts: NAMES,
    domains: NAMES,
    addresses: NAMES,
    bytes: LONG,
  }),
  Approval: recordOf({ by: STRING, at: DATETIME, callHash: STRING }),
  RunState: recordOf({
    calls: LONG,
    toolCalls: LONG,
    denials: LONG,
    inFlight: LONG,
    capabilityCalls: LONG,
    treeToolCalls: LONG,
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
  now: DATETIME,
  local: COMMON_TYPES.LocalTime,
  callHash: STRING,
  approval: { ...COMMON_TYPES.Approval, required: false },
};

/** Context of tool calls beside their arguments. */
const TOOL_CONTEXT: Attributes = {
  argInfo: COMMON_TYPES.ArgInfo,
  tool: COMMON_TYPES.ToolFacts,
  provenance: COMMON_TYPES.Provenance,
  derived: COMMON_TYPES.Derived,
  ...COMMON_CONTEXT,
};

/** The closed lists that are the same in every catalogue: a typo in a policy is then an error. */
export const FIXED_ENUMS: Readonly<Record<string, readonly string[]>> = {
  Effect: ['read', 'write', 'egressRead'],
  Sink: ['none', 'own', 'external'],
  ResultTrust: ['own', 'thirdParty'],
};

/** The capability of a tool that nobody has put in a group: no run can declare it. */
export const UNASSIGNED = 'unassigned';

/** The context of every method that is not a tool call. */
export const METHOD_CONTEXT = recordOf({
  ...COMMON_CONTEXT,
  provenance: COMMON_TYPES.Provenance,
  uri: { ...STRING, required: false },
  name: { ...STRING, required: false },
});

export function toolContext(args: CedarRecord): CedarRecord {
  return recordOf({ args, ...TOOL_CONTEXT });
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
