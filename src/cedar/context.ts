import type { CedarValueJson } from '@cedar-policy/cedar-wasm/nodejs';
import type { JsonObject } from '../base/index.ts';
import type { Run } from '../identity/index.ts';
import type { RecordArg } from './arg-types.ts';
import type { EncodedArgs } from './encode-args.ts';
import type { MethodParam } from './mcp-methods.ts';
import type { AuthorizationRequest } from './pdp.ts';
import type { ReadNode } from './reads.ts';
import { entity } from './vocabulary.ts';

/** All that a context can be made of. */
export type ContextInput = {
  readonly request: AuthorizationRequest;
  /** The link of the delegation chain that is decided on. */
  readonly run: Run;
  /** Absent for methods. */
  readonly encoded?: EncodedArgs;
  readonly argsType?: RecordArg;
  readonly params?: Readonly<Partial<Record<MethodParam, string>>>;
};

type Context = Record<string, CedarValueJson>;

const ATTRIBUTES = [
  'args',
  'argInfo',
  'intent',
  'run',
  'pop',
  'credential',
  'credentialOutlivesCall',
  'now',
  'local',
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
  { request, run, encoded, params }: ContextInput,
): CedarValueJson | undefined {
  switch (name) {
    case 'args':
      return encoded?.args;
    case 'argInfo':
      return encoded && infoOf(encoded);
    case 'intent':
      return {
        purpose: entity('Purpose', run.intent.purpose),
        hasTask: run.intent.taskDigest !== undefined,
      };
    case 'run':
      return runState(request);
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
    case 'uri':
    case 'name':
      return params?.[name];
    default:
      return undefined;
  }
}

function infoOf({ info }: EncodedArgs): Context {
  return {
    nulls: [...info.nulls],
    opaque: [...info.opaque],
    unmapped: [...info.unmapped],
    extra: [...info.extra],
  };
}

function runState({ facts, caller }: AuthorizationRequest): Context {
  const { calls, toolCalls, denials, inFlight, labels } = facts;
  const { depth } = caller.chain[0];
  return {
    calls,
    toolCalls,
    denials,
    inFlight,
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
