import {
  askedFor,
  decodeHeaderValue,
  err,
  isJsonObject,
  MCP_NAME_SOURCES,
  ok,
  type Result,
} from '../base/index.ts';
import type { ReceivedCall } from './verifier.ts';

/** The headers of a request as `node:http` has them: lower-case names. */
export type McpHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

/**
 * The call that an MCP request over streamable HTTP makes. `body` is the parsed JSON of a POST. Where `Mcp-Method`
 * and `Mcp-Name` are sent they must say the same as the body, or whoever routes by them sees another call. The
 * error says what is wrong.
 */
export function receivedCall(
  httpMethod: string,
  body: unknown,
  headers: McpHeaders = {},
): Result<ReceivedCall, string> {
  if (httpMethod !== 'POST') return ok({ method: httpMethod });
  if (!isJsonObject(body)) return err('the body must be one JSON-RPC message; batches are not accepted');
  const { method, params = {} } = body;
  if (method === undefined && ('result' in body || 'error' in body))
    return ok({ method: 'response', asked: askedFor(body) });
  if (typeof method !== 'string') return err('method must be a string');
  if (!isJsonObject(params)) return err('params must be an object');
  if (!agrees(headers['mcp-method'], method)) return err('Mcp-Method differs from the method in the body');
  const source = MCP_NAME_SOURCES.get(method);
  if (source !== undefined && !agrees(headers['mcp-name'], params[source]))
    return err(`Mcp-Name differs from params.${source}`);
  const asked = askedFor(body);
  if (method !== 'tools/call') return ok({ method, asked });
  const { name, arguments: args = {} } = params;
  if (typeof name !== 'string') return err('params.name must be the name of a tool');
  return isJsonObject(args) ? ok({ method, tool: name, asked }) : err('params.arguments must be an object');
}

/** Absent is fine: legacy clients do not send them. Twice is not. */
function agrees(header: McpHeaders[string], value: unknown): boolean {
  if (header === undefined) return true;
  return typeof header === 'string' && decodeHeaderValue(header.trim()) === value;
}
