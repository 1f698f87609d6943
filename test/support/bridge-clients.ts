import {
  type CallToolResult,
  type ClientOptions,
  Client as ClientV2,
  StreamableHTTPClientTransport as TransportV2,
} from '@modelcontextprotocol/client';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { AgentRun } from '../../src/client/index.ts';

const INFO = { name: 'bridged', version: '1.0.0' };
export const ALL = { elicitation: { form: {} }, sampling: {}, roots: { listChanged: true } };

/** A client of the old package, which knows sessions only. */
export async function connectV1(
  run: AgentRun,
  upstream: string,
  prepare: (client: ClientV1) => void = () => undefined,
): Promise<ClientV1 & AsyncDisposable> {
  const client = new ClientV1(INFO, { capabilities: ALL });
  prepare(client);
  const transport = new TransportV1(new URL(run.mcpUrl(upstream)), { fetch: run.fetch });
  // The SDK's own types do not agree under exactOptionalPropertyTypes.
  await client.connect(transport as Parameters<ClientV1['connect']>[0]);
  return Object.assign(client, {
    async [Symbol.asyncDispose]() {
      await transport.terminateSession();
      await client.close();
    },
  });
}

/** A client of the new packages that insists on one era; `auto` does not. */
export async function connectV2(
  run: AgentRun,
  upstream: string,
  era: 'legacy' | 'modern' | 'auto',
  prepare: (client: ClientV2) => void = () => undefined,
  options: ClientOptions = {},
): Promise<ClientV2 & AsyncDisposable> {
  const mode = era === 'modern' ? { pin: '2026-07-28' } : era;
  const client = new ClientV2(INFO, { capabilities: ALL, versionNegotiation: { mode }, ...options });
  prepare(client);
  const requestInit = era === 'modern' ? { headers: { 'sallyport-bridge': '2026-07-28' } } : {};
  const transport = new TransportV2(new URL(run.mcpUrl(upstream)), { fetch: run.fetch, requestInit });
  await client.connect(transport);
  return Object.assign(client, {
    async [Symbol.asyncDispose]() {
      await transport.terminateSession();
      await client.close();
    },
  });
}

export function textOf(result: unknown): string {
  return (result as CallToolResult).content.map((part) => (part.type === 'text' ? part.text : '')).join('\n');
}
