// The MCP server behind every target: streamable HTTP with JSON answers, no session, as cheap as node:http allows.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { announce } from './announce.ts';
import { answerText, PROTOCOL_VERSION, toolList } from './messages.ts';

type Request = {
  id?: unknown;
  method?: string;
  params?: { arguments?: { nonce?: unknown }; protocolVersion?: unknown };
};

function resultOf(request: Request): object {
  switch (request.method) {
    case 'tools/call':
      return { content: [{ type: 'text', text: answerText(String(request.params?.arguments?.nonce)) }] };
    case 'tools/list':
      return toolList;
    case 'initialize':
      return {
        protocolVersion: request.params?.protocolVersion ?? PROTOCOL_VERSION,
        capabilities: { tools: {} },
        serverInfo: { name: 'bench-upstream', version: '1.0.0' },
      };
    default:
      return {};
  }
}

function reply(res: ServerResponse, status: number, body?: string): void {
  if (body === undefined) {
    res.writeHead(status, { 'content-length': 0 }).end();
    return;
  }
  const length = Buffer.byteLength(body);
  res.writeHead(status, { 'content-type': 'application/json', 'content-length': length }).end(body);
}

function handle(req: IncomingMessage, res: ServerResponse): void {
  const chunks: Buffer[] = [];
  req.on('data', (chunk: Buffer) => chunks.push(chunk));
  req.on('end', () => {
    if (req.method !== 'POST') return reply(res, 405);
    const request = JSON.parse(Buffer.concat(chunks).toString()) as Request;
    if (request.id === undefined) return reply(res, 202);
    reply(res, 200, JSON.stringify({ jsonrpc: '2.0', id: request.id, result: resultOf(request) }));
  });
}

announce(createServer(handle));
