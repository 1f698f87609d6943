import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { performance } from 'node:perf_hooks';

/** A call that reached the upstream; `at` in milliseconds since the epoch, finer than `Date.now`. */
export type Arrival = { readonly at: number; readonly tool: string; readonly mark: string };

/** An upstream with a tool that answers at once, `echo`, and one that streams and never ends, `hold`. */
export type HoldServer = AsyncDisposable & {
  readonly url: string;
  readonly arrivals: Arrival[];
  /** Streams that are open now. */
  readonly open: () => number;
};

type Message = {
  readonly id?: number;
  readonly method?: string;
  readonly params?: { readonly name: string; readonly arguments?: { readonly mark?: string } };
};

const TOOLS = ['echo', 'hold'].map((name) => ({
  name,
  inputSchema: { type: 'object', properties: { mark: { type: 'string' } } },
}));

export const preciseNow = (): number => performance.timeOrigin + performance.now();

export async function startHoldServer(): Promise<HoldServer> {
  const arrivals: Arrival[] = [];
  const streams = new Set<ServerResponse>();
  const server = createServer(async (request, response) => {
    const message = await readMessage(request);
    const { id, method, params } = message;
    if (method === 'tools/call' && params !== undefined) {
      arrivals.push({ at: preciseNow(), tool: params.name, mark: params.arguments?.mark ?? '' });
    }
    if (method === 'tools/call' && params?.name === 'hold') {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(`data: ${JSON.stringify(progress(0))}\n\n`);
      streams.add(response);
      response.once('close', () => streams.delete(response));
      return;
    }
    response.writeHead(id === undefined ? 202 : 200, { 'content-type': 'application/json' });
    response.end(id === undefined ? '' : JSON.stringify({ jsonrpc: '2.0', id, result: resultOf(message) }));
  });
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
    arrivals,
    open: () => streams.size,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}

async function readMessage(request: IncomingMessage): Promise<Message> {
  let text = '';
  for await (const chunk of request as AsyncIterable<Buffer>) text += chunk.toString();
  return JSON.parse(text || '{}') as Message;
}

function progress(at: number): object {
  return { jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken: 1, progress: at } };
}

function resultOf({ method }: Message): object {
  if (method === 'tools/list') return { tools: TOOLS };
  if (method === 'tools/call') return { content: [{ type: 'text', text: 'here' }] };
  return {
    protocolVersion: '2025-11-25',
    capabilities: { tools: {} },
    serverInfo: { name: 'hold', version: '1' },
  };
}
