import type { CedarValueJson } from '@cedar-policy/cedar-wasm/nodejs';
import type { JsonObject } from '../base/index.ts';
import type { Run } from '../identity/index.ts';
import type { ToolAnnotations } from './annotations.ts';
import type { RecordArg } from './arg-types.ts';
import { callHashOf } from './call-hash.ts';
import { type DerivedFacts, derivedFacts } from './derived-facts.ts';
import type { EncodedArgs } from './encode-args.ts';
import { callsOf, treeCallsOf } from './intent-envelope.ts';
import { ANSWERING_METHODS, type MethodParam } from './mcp-methods.ts';
import type { AuthorizationRequest } from './pdp.ts';
import type { ReadNode } from './reads.ts';
import { entity, UNASSIGNED } from './vocabulary.ts';

/** All that a context can be made of. */
export type ContextInput = {
  readonly request: AuthorizationRequest;
  /** The link of the delegation chain that is decided on. */
  readonly run: Run;
  /** Absent for methods. */
  readonly encoded?: EncodedArgs;
  readonly argsType?: RecordArg;
  /** Absent for methods. */
  readonly annotations?: ToolAnnotations;
  /** Has a reviewer said what the tool is? */
  readonly isReviewed?: boolean;
  readonly params?: Readonly<Partial<Record<MethodParam, string>>>;
};

type Context = Record<string, CedarValueJson>;

const ATTRIBUTES = [
  'args',
  'argInfo',
  'tool',
  'provenance',
  'derived',
  'intent',
  'run',
  'pop',
  'credential',
  'credentialOutlivesCall',
  'now',
  'local',
  'callHash',
  'approval',
  'uri',
  'name',
];

/** Every other kind, also one that nobody has thought of yet, can be used again after the call. */
const FOR_ONE_CALL = new Set(['none', 'call-token']);

/** The part of the context that is read, always in the same order for the same reads. */
export function contextOf(reads: ReadNode, input: ContextInput): Context {
  const context: Context = {};
  for (const name of reads.whole ? ATTRIBUTES : reads.children.keys()) {
    const value = attributeOf(name, input);
    const child = reads.children.get(name);
    if (value !== undefined)
      context[name] = child === undefined || reads.whole ? value : project(value, child);
  }
  return context;
}

function attributeOf(
  name: string,
  { request, run, encoded, params, annotations, isReviewed = false }: ContextInput,
): CedarValueJson | undefined {
  switch (name) {
    case 'args':
      return encoded?.args;
    case 'argInfo':
      return encoded && infoOf(encoded);
    case 'tool':
      return annotations && toolFacts(annotations, isReviewed);
    case 'provenance':
      return provenanceFacts(request);
    case 'derived':
      return annotations && derivedRecord(request, annotations);
    case 'intent':
      return intentFacts(run);
    case 'run':
      return runState(request, annotations);
    case 'pop':
      return request.caller.pop;
    case 'credential':
      return request.credential;
    case 'credentialOutlivesCall':
      return !FOR_ONE_CALL.has(request.credential);
    case 'now':
      return new Date(request.now).toISOString(); // the schema makes it a datetime
    case 'local':
      return localTime(request.now);
    case 'callHash':
      return callHashOf(request.caller.chain[0].id, request.target);
    case 'approval':
      return approvalFacts(request);
    case 'uri':
    case 'name':
      return params?.[name];
    default:
      return undefined;
  }
}

function toolFacts({ effect, sink, resultTrust, capability }: ToolAnnotations, reviewed: boolean): Context {
  return {
    effect: entity('Effect', effect),
    sink: entity('Sink', sink),
    resultTrust: entity('ResultTrust', resultTrust),
    capability: entity('Capability', capability ?? UNASSIGNED),
    reviewed,
  };
}

const NOBODY_KNOWS = { worst: 'unknown', address: 'unknown', identifier: 'unknown', content: 'unknown' };

const NOTHING_SENT = { worst: 'none', address: 'none', identifier: 'none', content: 'none' };

function provenanceFacts({ provenance, target }: AuthorizationRequest): Context {
  if (provenance === undefined) {
    const carriesValues = target.kind === 'tool' || ANSWERING_METHODS.has(target.method);
    return { ...(carriesValues ? NOBODY_KNOWS : NOTHING_SENT), sources: [], labels: [] };
  }
  const { worst, address, identifier, content, sources, labels } = provenance.facts;
  return {
    worst,
    address,
    identifier,
    content,
    sources: [...sources],
    labels: labels.map((label) => entity('Label', label)),
  };
}

function derivedRecord({ target }: AuthorizationRequest, annotations: ToolAnnotations): Context {
  const { paths, folders, climbs, hosts, domains, addresses, bytes }: DerivedFacts = derivedFacts(
    target.kind === 'tool' ? target.args : {},
    annotations,
  );
  return {
    paths: [...paths],
    folders: [...folders],
    climbs,
    hosts: [...hosts],
    domains: [...domains],
    addresses: [...addresses],
    bytes,
  };
}

function intentFacts({ intent }: Run): Context {
  const { purpose, taskDigest, capabilities = [], addressees = [], sources = [] } = intent;
  return {
    purpose: entity('Purpose', purpose),
    hasTask: taskDigest !== undefined,
    capabilities: capabilities.map((name) => entity('Capability', name)),
    addressees: [...addressees],
    sources: [...sources],
    inferred: intent.inferred === true,
    strict: intent.strict === true,
  };
}

function approvalFacts({ approval }: AuthorizationRequest): Context | undefined {
  if (approval === undefined) return undefined;
  return { by: approval.by, at: new Date(approval.at).toISOString(), callHash: approval.callHash };
}

function infoOf({ info }: EncodedArgs): Context {
  return {
    nulls: [...info.nulls],
    opaque: [...info.opaque],
    unmapped: [...info.unmapped],
    extra: [...info.extra],
  };
}

function runState(
  { facts, caller }: AuthorizationRequest,
  annotations: ToolAnnotations | undefined,
): Context {
  const { calls, toolCalls, denials, inFlight, labels } = facts;
  const { depth } = caller.chain[0];
  return {
    calls,
    toolCalls,
    denials,
    inFlight,
    capabilityCalls: annotations === undefined ? 0 : callsOf(facts, annotations.capability),
    treeToolCalls: treeCallsOf(facts),
    depth,
    labels: labels.map((label) => entity('Label', label)),
  };
}

/** UTC; Monday is 1. */
function localTime(now: number): Context {
  const date = new Date(now);
  return { weekday: date.getUTCDay() || 7, minute: date.getUTCHours() * 60 + date.getUTCMinutes() };
}

/** Keeps the attributes that are read. What is not a record is kept whole. */
export function project(value: CedarValueJson, node: ReadNode): CedarValueJson {
  if (node.whole || typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const kept: Context = {};
  const record = value as Context;
  for (const [name, child] of node.children) {
    const member = Object.hasOwn(record, name) ? record[name] : undefined;
    if (member !== undefined) kept[name] = project(member, child);
  }
  return kept;
}

const MAX_PARAM_BYTES = 8 * 1024;

/**
 * A parameter as policies see it. Undefined inside when it was not sent; undefined itself when it has a value
 * that policies cannot be shown, so that no forbid about it is passed by.
 */
export function paramsOf(
  param: MethodParam | undefined,
  params: JsonObject,
): Partial<Record<MethodParam, string>> | undefined {
  if (param === undefined || !Object.hasOwn(params, param)) return {};
  const value = params[param];
  if (typeof value !== 'string' || !value.isWellFormed() || Buffer.byteLength(value) > MAX_PARAM_BYTES) {
    return undefined;
  }
  return { [param]: value };
}
