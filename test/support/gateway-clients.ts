import {
  Client as ClientV2,
  StreamableHTTPClientTransport as TransportV2,
} from '@modelcontextprotocol/client';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  LoggingMessageNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import type { AgentRun } from '../../src/client/index.ts';

/** The official client packages, in the ways they can be set to begin. */
export const CLIENT_KINDS = ['SDK v1', 'SDK v2 legacy', 'SDK v2 auto'] as const;
export type ClientKind = (typeof CLIENT_KINDS)[number];

export type CallOutcome = {
  readonly text: string;
  readonly isError: boolean;
  readonly structured: unknown;
  readonly content: readonly { readonly type: string }[];
};

/** What all of them can do, said alike. */
export type GatewayClient = AsyncDisposable & {
  readonly tools: () => Promise<readonly string[]>;
  readonly call: (name: string, args?: object, onProgress?: (at: number) => void) => Promise<CallOutcome>;
  readonly prompts: () => Promise<readonly string[]>;
  readonly prompt: (name: string, args?: Record<string, string>) => Promise<string>;
  readonly resources: () => Promise<readonly string[]>;
  readonly read: (uri: string) => Promise<string>;
  readonly complete: (prompt: string, argument: string, value: string) => Promise<readonly string[]>;
  readonly logLevel: (level: 'debug' | 'error') => Promise<unknown>;
  readonly instructions: () => string | undefined;
  /** Log messages of the server, in order. */
  readonly logs: readonly unknown[];
};

const INFO = { name: 'peers', version: '1.0.0' };
const CAPABILITIES = { elicitation: { form: {} }, sampling: {}, roots: { listChanged: true } };
/** What the person and the model at the client say when the server asks them. */
const PERSON = { action: 'accept' as const, content: { name: 'Ada', check: true, color: 'blue' } };
const MODEL = {
  model: 'canned',
  role: 'assistant' as const,
  content: { type: 'text' as const, text: 'sampled by the client' },
};
const ROOTS = { roots: [{ uri: 'file:///workspace', name: 'workspace' }] };

/** Connects one of the official clients to an upstream, through a gateway, as a run. */
export async function connectClient(
  kind: ClientKind,
  run: AgentRun,
  upstream: string,
): Promise<GatewayClient> {
  return kind === 'SDK v1'
    ? connectV1(run, upstream)
    : connectV2(run, upstream, kind === 'SDK v2 auto' ? 'auto' : 'legacy');
}

async function connectV1(run: AgentRun, upstream: string): Promise<GatewayClient> {
  const logs: unknown[] = [];
  const client = new ClientV1(INFO, { capabilities: CAPABILITIES });
  client.setRequestHandler(ElicitRequestSchema, () => PERSON);
  client.setRequestHandler(CreateMessageRequestSchema, () => MODEL);
  client.setRequestHandler(ListRootsRequestSchema, () => ROOTS);
  client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => void logs.push(params));
  const transport = new TransportV1(new URL(run.mcpUrl(upstream)), { fetch: run.fetch });
  // The SDK's own types do not agree under exactOptionalPropertyTypes.
  await client.connect(transport as Parameters<ClientV1['connect']>[0]);
  return {
    ...common(client, logs),
    call: async (name, args = {}, onProgress) => {
      const params = { name, arguments: { ...args } };
      const onprogress = ({ progress }: { progress: number }): void => onProgress?.(progress);
      return toOutcome(
        await client.callTool(params, undefined, onProgress === undefined ? {} : { onprogress }),
      );
    },
    async [Symbol.asyncDispose]() {
      await transport.terminateSession();
      await client.close();
    },
  };
}

async function connectV2(run: AgentRun, upstream: string, mode: 'auto' | 'legacy'): Promise<GatewayClient> {
  const logs: unknown[] = [];
  const client = new ClientV2(INFO, { capabilities: CAPABILITIES, versionNegotiation: { mode } });
  client.setRequestHandler('elicitation/create', () => PERSON);
  client.setRequestHandler('sampling/createMessage', () => MODEL);
  client.setRequestHandler('roots/list', () => ROOTS);
  client.setNotificationHandler('notifications/message', ({ params }) => void logs.push(params));
  const transport = new TransportV2(new URL(run.mcpUrl(upstream)), { fetch: run.fetch });
  await client.connect(transport);
  return {
    ...common(client, logs),
    call: async (name, args = {}, onProgress) => {
      const params = { name, arguments: { ...args } };
      const onprogress = ({ progress }: { progress: number }): void => onProgress?.(progress);
      return toOutcome(await client.callTool(params, onProgress === undefined ? {} : { onprogress }));
    },
    async [Symbol.asyncDispose]() {
      await transport.terminateSession();
      await client.close();
    },
  };
}

/** The part of the interface that the two packages spell the same. */
function common(client: ClientV1 | ClientV2, logs: readonly unknown[]) {
  return {
    logs,
    tools: async () => (await client.listTools()).tools.map(({ name }) => name),
    prompts: async () => (await client.listPrompts()).prompts.map(({ name }) => name),
    prompt: async (name: string, args: Record<string, string> = {}) =>
      JSON.stringify((await client.getPrompt({ name, arguments: args })).messages),
    resources: async () => (await client.listResources()).resources.map(({ uri }) => uri),
    read: async (uri: string) => JSON.stringify((await client.readResource({ uri })).contents),
    complete: async (name: string, argument: string, value: string) => {
      const ref = { type: 'ref/prompt' as const, name };
      return (await client.complete({ ref, argument: { name: argument, value } })).completion.values;
    },
    logLevel: (level: 'debug' | 'error') => client.setLoggingLevel(level),
    instructions: () => client.getInstructions(),
  };
}

function toOutcome(result: object): CallOutcome {
  const {
    content = [],
    isError = false,
    structuredContent,
  } = result as {
    content?: { type: string; text?: string }[];
    isError?: boolean;
    structuredContent?: unknown;
  };
  const text = content.map((part) => part.text ?? '').join('\n');
  return { text, isError, structured: structuredContent, content };
}
