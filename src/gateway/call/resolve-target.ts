import {
  askedFor,
  err,
  isJsonObject,
  type JsonObject,
  ok,
  type Result,
  type UpstreamName,
} from '../../base/index.ts';
import type { Target } from '../../cedar/index.ts';
import type { Admitted } from '../mcp/index.ts';
import type { ResolveRefusal } from './call.ts';

const NOTHING: JsonObject = {};

/** Names that policy uses for what has no method of its own; a message must not pass for one of them. */
const LEGS: ReadonlySet<string> = new Set(['GET', 'DELETE', 'response']);

/** What a message asks for, in the words of policy. Never guesses: odd parameters are refused. */
export function resolveTarget(upstream: UpstreamName, admitted: Admitted): Result<Target, ResolveRefusal> {
  if (admitted.leg !== 'POST') return ok({ kind: 'method', upstream, method: admitted.leg, params: NOTHING });
  if (admitted.kind === 'response') {
    const { id: _, ...params } = askedFor(admitted.message);
    return ok({ kind: 'method', upstream, method: 'response', params: params as JsonObject });
  }
  if (LEGS.has(admitted.method)) return refuse(`"${admitted.method}" is not a method of MCP`);
  const params = admitted.params ?? NOTHING;
  if (admitted.method !== 'tools/call')
    return ok({ kind: 'method', upstream, method: admitted.method, params });
  const { name, arguments: args = NOTHING } = params;
  if (admitted.kind !== 'request') return refuse('tools/call must be a request with an id');
  if (typeof name !== 'string' || name === '') return refuse('params.name must be the name of a tool');
  if (!isJsonObject(args)) return refuse('params.arguments must be an object');
  const { name: _name, arguments: _arguments, ...rest } = askedFor({ ...admitted.message, params });
  const beside = Object.keys(rest).length === 0 ? {} : { beside: rest as JsonObject };
  return ok({ kind: 'tool', upstream, tool: name, args, ...beside });
}

function refuse(detail: string): Result<Target, ResolveRefusal> {
  return err({ reason: 'invalid_params', detail });
}
