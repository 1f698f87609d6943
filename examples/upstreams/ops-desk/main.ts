import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseArgs } from 'node:util';
import { localhostHostValidation, toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler } from '@modelcontextprotocol/server';
import { type CallHandler, createVerifier, withCallToken } from 'sallyport/verifier';
import { Desk, type Payment, type Refund, type SeenCall, type SentMail } from './desk.ts';
import { createOpsDeskServer } from './tools.ts';

export type OpsDeskOptions = {
  /** 0 takes a free one. */
  readonly port: number;
  /** The gateway's public URL. */
  readonly issuer: string;
  /** Where the gateway publishes its keys. */
  readonly jwksUrl: string;
  /** What credentials must be for; by default the desk's own MCP endpoint. */
  readonly audience?: string;
  /** SQLite file, or `:memory:`. */
  readonly database: string;
};

export type OpsDesk = AsyncDisposable & {
  /** The MCP endpoint. */
  readonly url: string;
  /** Every credential that was accepted, in order: what the desk saw. */
  readonly seen: () => readonly SeenCall[];
  readonly payments: () => readonly Payment[];
  readonly refunds: () => readonly Refund[];
  readonly sentMails: () => readonly SentMail[];
  readonly close: () => Promise<void>;
};

const PATH = '/mcp';

/**
 * Starts the ops desk on loopback: an MCP server for both eras that takes no request, not even a list, without
 * the credential that the gateway mints for exactly that request.
 */
export async function startOpsDesk(options: OpsDeskOptions): Promise<OpsDesk> {
  const desk = new Desk(options.database);
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, '127.0.0.1', resolve);
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${PATH}`;
  serve(server, desk, { ...options, audience: options.audience ?? url });
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closing ??= closeServer(server).finally(() => desk[Symbol.dispose]());
    return closing;
  };
  return {
    url,
    seen: () => desk.seen(),
    payments: () => desk.payments(),
    refunds: () => desk.refunds(),
    sentMails: () => desk.sentMails(),
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function closeServer(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise<void>((resolve) => server.close(() => resolve()));
}

function serve(server: Server, desk: Desk, options: OpsDeskOptions & { readonly audience: string }): void {
  const { issuer, audience, jwksUrl } = options;
  const verifier = createVerifier({ issuer, audience, jwks: { url: jwksUrl } });
  const serveMcp = toNodeHandler(createMcpHandler(() => createOpsDeskServer(desk)));
  const isLocal = localhostHostValidation();
  const handle: CallHandler = (request, response, { call, body }) => {
    const { callId, run, method, tool } = call;
    desk.note({ jti: callId, run, method, tool: tool ?? null, at: Date.now() });
    return serveMcp(
      Object.assign(request, { method: request.method ?? '', url: request.url ?? '' }),
      response,
      body,
    );
  };
  const guarded = withCallToken(verifier, handle);
  server.on('request', (request, response) => {
    if (!isLocal(request, response)) return;
    if (request.url === PATH) guarded(request, response);
    else response.writeHead(404).end();
  });
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: '8480' },
      gateway: { type: 'string', default: 'http://127.0.0.1:8474' },
      database: { type: 'string', default: ':memory:' },
    },
  });
  const { gateway: issuer, database } = values;
  const jwksUrl = `${issuer}/.well-known/jwks.json`;
  const desk = await startOpsDesk({ port: Number(values.port), issuer, jwksUrl, database });
  process.stdout.write(`ops desk at ${desk.url}, taking calls from ${issuer} only\n`);
}
