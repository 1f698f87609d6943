import { isUtf8 } from 'node:buffer';
import {
  err,
  isJsonObject,
  type JsonDefect,
  type JsonObject,
  ok,
  parseStrictJson,
  type Result,
} from '../../base/index.ts';
import { isRpcId, type JsonRpcMessage, type RpcId } from '../upstream/index.ts';
import type { AdmitReason, AdmitRefusal } from './admit-refusal.ts';

/** A JSON-RPC 2.0 message of an agent, with what its kind promises. */
export type AgentMessage =
  | {
      readonly kind: 'request';
      readonly message: JsonRpcMessage;
      readonly id: RpcId;
      readonly method: string;
      readonly params?: JsonObject;
    }
  | {
      readonly kind: 'notification';
      readonly message: JsonRpcMessage;
      readonly method: string;
      readonly params?: JsonObject;
    }
  | { readonly kind: 'response'; readonly message: JsonRpcMessage; readonly id: RpcId };

const ENVELOPE_KEYS = keysByFold(['jsonrpc', 'id', 'method', 'params', 'result', 'error']);

/** Parameters that policy or relay look at: a server that ignores case must not see another one. */
const PARAM_KEYS = keysByFold([
  '_meta',
  'argument',
  'arguments',
  'capabilities',
  'clientInfo',
  'cursor',
  'inputResponses',
  'level',
  'name',
  'notifications',
  'protocolVersion',
  'ref',
  'requestId',
  'requestState',
  'task',
  'taskId',
  'uri',
]);
const META_KEYS = keysByFold([
  'progressToken',
  'io.modelcontextprotocol/protocolVersion',
  'io.modelcontextprotocol/clientInfo',
  'io.modelcontextprotocol/clientCapabilities',
  'io.modelcontextprotocol/logLevel',
]);
const NO_KEYS: ReadonlyMap<string, string> = new Map();

const MAX_ID = 256;
const METHOD = /^[\x21-\x7e]{1,256}$/;

/**
 * Reads the body as exactly one JSON-RPC message that every parser reads the same way: no batch, no duplicate
 * or look-alike keys, no member beyond the specification's.
 */
export function readAgentMessage(body: Buffer): Result<AgentMessage, AdmitRefusal> {
  if (!isUtf8(body)) return refuse('not_utf8', 'the body is not UTF-8');
  const parsed = parseStrictJson(body.toString('utf8'));
  if (!parsed.ok) return err(toRefusal(parsed.error));
  const message = parsed.value;
  if (Array.isArray(message))
    return refuse('batch', 'batches are not accepted; send one message per request');
  if (!isJsonObject(message)) return refuse('not_json_rpc', 'the body is not a JSON-RPC message');
  const read = checkMembers(message);
  if (read.ok) return read;
  const { id } = message;
  return isUsableId(id) ? err({ ...read.error, id }) : read;
}

function checkMembers(message: JsonRpcMessage): Result<AgentMessage, AdmitRefusal> {
  const lookAlike = findLookAlike(message, ENVELOPE_KEYS);
  if (lookAlike !== undefined)
    return refuse('ambiguous_key', `${quote(lookAlike)} looks like another member`);
  const stranger = Object.keys(message).find((key) => !ENVELOPE_KEYS.has(key));
  if (stranger !== undefined)
    return refuse('unknown_key', `${quote(stranger)} is not a member of JSON-RPC messages`);
  if (message['jsonrpc'] !== '2.0') return refuse('not_json_rpc', 'jsonrpc must be "2.0"');
  return message['method'] === undefined ? checkResponse(message) : checkCall(message);
}

function checkCall(message: JsonRpcMessage): Result<AgentMessage, AdmitRefusal> {
  const { id, method, params, result, error } = message;
  if (typeof method !== 'string' || !METHOD.test(method)) {
    return refuse('not_json_rpc', 'method must be a string of 1 to 256 visible ASCII characters');
  }
  if (result !== undefined || error !== undefined) {
    return refuse('not_json_rpc', 'a message with a method has neither result nor error');
  }
  if (params !== undefined && !isJsonObject(params))
    return refuse('not_json_rpc', 'params must be an object');
  const lookAlike = params === undefined ? undefined : findLookAlikeInParams(params);
  if (lookAlike !== undefined)
    return refuse('ambiguous_key', `${quote(lookAlike)} looks like another parameter`);
  const rest = params === undefined ? { message, method } : { message, method, params };
  if (id === undefined) return ok({ kind: 'notification', ...rest });
  if (!isUsableId(id)) return refuse('bad_id', 'id must be a string or an integer');
  return ok({ kind: 'request', id, ...rest });
}

function checkResponse(message: JsonRpcMessage): Result<AgentMessage, AdmitRefusal> {
  const { id, params, result, error } = message;
  if (params !== undefined) return refuse('not_json_rpc', 'a message with params must have a method');
  if ((result === undefined) === (error === undefined)) {
    return refuse('not_json_rpc', 'a message has a method, a result or an error');
  }
  if (!isJsonObject(result ?? error)) return refuse('not_json_rpc', 'result and error must be objects');
  if (!isUsableId(id)) return refuse('bad_id', 'id must be a string or an integer');
  return ok({ kind: 'response', message, id });
}

function isUsableId(id: unknown): id is RpcId {
  if (typeof id === 'string') return id.length <= MAX_ID;
  return typeof id === 'number' && isRpcId(id) && Number.isSafeInteger(id);
}

function findLookAlikeInParams(params: JsonObject): string | undefined {
  const { _meta, arguments: args } = params;
  return (
    findLookAlike(params, PARAM_KEYS) ??
    (isJsonObject(_meta) ? findLookAlike(_meta, META_KEYS) : undefined) ??
    (isJsonObject(args) ? findLookAlike(args, NO_KEYS) : undefined)
  );
}

/** A key that a case-insensitive reader takes for a known one, or for another key beside it. */
function findLookAlike(object: JsonObject, known: ReadonlyMap<string, string>): string | undefined {
  const seen = new Set<string>();
  for (const key of Object.keys(object)) {
    const folded = fold(key);
    if ((known.get(folded) ?? key) !== key || seen.has(folded)) return key;
    seen.add(folded);
  }
  return undefined;
}

/** Both ways, because U+017F and U+212A become ASCII letters in only one of them. */
function fold(key: string): string {
  return key.toUpperCase().toLowerCase();
}

function keysByFold(keys: readonly string[]): ReadonlyMap<string, string> {
  return new Map(keys.map((key) => [fold(key), key]));
}

function toRefusal(defect: JsonDefect): AdmitRefusal {
  switch (defect.reason) {
    case 'syntax':
      return { reason: 'not_json', detail: 'the body is not JSON' };
    case 'too_deep':
      return { reason: 'ambiguous_json', detail: `the body is nested deeper than ${defect.limit} levels` };
    case 'duplicate_key':
      return { reason: 'ambiguous_json', detail: `the key ${quote(defect.key)} occurs twice` };
    case 'forbidden_key':
      return { reason: 'ambiguous_json', detail: `the key ${quote(defect.key)} is not accepted` };
    case 'unsafe_number':
      return {
        reason: 'ambiguous_json',
        detail: `the number ${defect.literal} does not survive all parsers; send a string`,
      };
    case 'lone_surrogate':
      return { reason: 'ambiguous_json', detail: 'a string holds half of a surrogate pair' };
  }
}

function quote(key: string): string {
  return JSON.stringify(key.slice(0, 64));
}

function refuse(reason: AdmitReason, detail: string): Result<never, AdmitRefusal> {
  return err({ reason, detail });
}
