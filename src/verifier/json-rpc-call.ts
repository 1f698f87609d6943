import { err, isJsonObject, type JsonObject, ok, type Result } from '../base/index.ts';
import type { ReceivedCall } from './verifier.ts';

const NOTHING: JsonObject = {};

/**
 * The call that an MCP request over streamable HTTP makes. `body` is the parsed JSON of a POST. The error says
 * what is wrong with it.
 */
export function receivedCall(httpMethod: string, body: unknown): Result<ReceivedCall, string> {
  if (httpMethod !== 'POST') return ok({ method: httpMethod });
  if (!isJsonObject(body)) return err('the body must be one JSON-RPC message; batches are not accepted');
  const { method, params = NOTHING } = body;
  if (method === undefined && ('result' in body || 'error' in body)) return ok({ method: 'response' });
  if (typeof method !== 'string') return err('method must be a string');
  if (!isJsonObject(params)) return err('params must be an object');
  if (method !== 'tools/call') {
    const { _meta: _, ...args } = params;
    return ok({ method, args: args as JsonObject });
  }
  const { name, arguments: args = NOTHING } = params;
  if (typeof name !== 'string') return err('params.name must be the name of a tool');
  return isJsonObject(args) ? ok({ method, tool: name, args }) : err('params.arguments must be an object');
}
