import type { AgentRun } from '../../src/client/index.ts';

/** What a client of the legacy era sends with every message. */
export const LEGACY_HEADERS = {
  'content-type': 'application/json',
  accept: 'application/json, text/event-stream',
  'mcp-protocol-version': '2025-11-25',
};

const META = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
};

export type RpcAnswer = {
  readonly id?: unknown;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly code: number; readonly message: string; readonly data?: unknown };
};

export type PostOptions = {
  readonly upstream?: string;
  readonly headers?: Record<string, string>;
  readonly signal?: AbortSignal;
};

/** Posts one message through a run, as it is. */
export function post(run: AgentRun, message: object | string, options: PostOptions = {}): Promise<Response> {
  const { upstream = 'witness', headers = {}, signal } = options;
  return run.fetch(run.mcpUrl(upstream), {
    method: 'POST',
    headers: { ...LEGACY_HEADERS, ...headers },
    body: typeof message === 'string' ? message : JSON.stringify(message),
    ...(signal === undefined ? {} : { signal }),
  });
}

export function toolCall(name: string, args: object = {}, id: string | number = 1) {
  return { jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: args } };
}

/** A modern message and the headers that must repeat it. */
export function modern(method: string, params: Record<string, unknown> = {}, id: string | number = 1) {
  const name = params['name'] ?? params['uri'];
  return {
    message: { jsonrpc: '2.0', id, method, params: { ...params, _meta: META } },
    headers: {
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': method,
      ...(typeof name === 'string' ? { 'mcp-name': name } : {}),
    },
  };
}

/** The JSON-RPC messages of an answer, whether it came as JSON or as a stream. */
export async function messagesIn(response: Response): Promise<RpcAnswer[]> {
  const text = await response.text();
  if (text === '') return [];
  if (response.headers.get('content-type') !== 'text/event-stream') return [JSON.parse(text) as RpcAnswer];
  return [...text.matchAll(/^data: (.+)$/gm)].map((match) => JSON.parse(match[1] ?? 'null') as RpcAnswer);
}

/** The one response of an answer. */
export async function answerIn(response: Response): Promise<RpcAnswer> {
  const messages = await messagesIn(response);
  const answer = messages.find((message) => message.result !== undefined || message.error !== undefined);
  if (answer === undefined) throw new Error(`no response, status ${response.status}`);
  return answer;
}

/** What the gateway said of a refused tool call. */
export function refusalIn({ result }: RpcAnswer): { code: string; reason: string } | undefined {
  const meta = result?.['_meta'] as Record<string, { code: string; reason: string }> | undefined;
  return meta?.['sallyport/refusal'];
}

/** What the witness says it was asked, and by whom. */
export function echoed({ result }: RpcAnswer): {
  caller: string;
  params: { arguments: Record<string, unknown> };
} {
  const content = result?.['content'] as { text: string }[] | undefined;
  return JSON.parse(content?.[0]?.text ?? 'null');
}
