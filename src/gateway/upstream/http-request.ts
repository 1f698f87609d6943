import type { Outgoing } from './upstream.ts';

/** The agent's headers that reach an upstream; everything else stays here. */
const PASSED = new Set(['mcp-protocol-version', 'mcp-method', 'mcp-name', 'last-event-id']);

/** One message or leg for an upstream, apart from whose run it belongs to. */
export type Sending = Omit<Outgoing, 'run'>;

/** The whole header set of a request to an upstream. Never takes over a credential or cookie of the agent. */
export function toRequestHeaders(sending: Sending): Record<string, string> {
  const { method, mcpHeaders, session, authorization } = sending;
  const headers: Record<string, string> = {
    accept: method === 'GET' ? 'text/event-stream' : 'application/json, text/event-stream',
    'accept-encoding': 'identity',
  };
  if (method === 'POST') headers['content-type'] = 'application/json';
  for (const name in mcpHeaders) {
    const value = mcpHeaders[name];
    if (value !== undefined && (PASSED.has(name) || name.startsWith('mcp-param-'))) headers[name] = value;
  }
  if (session !== undefined) headers['mcp-session-id'] = session;
  if (authorization !== undefined) headers['authorization'] = authorization;
  return headers;
}

/** Media type without parameters, lower case. */
export function mediaType(contentType: string | string[] | undefined): string {
  if (typeof contentType !== 'string') return '';
  const end = contentType.indexOf(';');
  return (end === -1 ? contentType : contentType.slice(0, end)).trim().toLowerCase();
}
