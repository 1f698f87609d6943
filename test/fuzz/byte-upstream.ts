import type { AddressInfo } from 'node:net';
import { createServer, type Socket } from 'node:net';

/** An upstream that is no server at all: it notes bytes and answers with bytes. */
export type ByteUpstream = AsyncDisposable & {
  readonly url: string;
  /** Whole requests, head and body, as they came. */
  readonly got: { readonly head: string; readonly body: string }[];
  /** The next answers, byte for byte, in pieces; `undefined` closes the connection without one. */
  answer: (id: unknown) => readonly Buffer[] | undefined;
};

const HEAD_END = '\r\n\r\n';

export async function startByteUpstream(): Promise<ByteUpstream> {
  const got: { head: string; body: string }[] = [];
  const sockets = new Set<Socket>();
  const upstream = { answer: (_id: unknown): readonly Buffer[] | undefined => undefined };

  function onRequest(head: string, body: string, socket: Socket): void {
    got.push({ head, body });
    const pieces = upstream.answer(idIn(body));
    for (const piece of pieces ?? []) socket.write(piece);
    socket.end(); // one request a connection: what was wrong with one cannot spoil the next
  }

  const server = createServer((socket) => {
    sockets.add(socket);
    let heard = Buffer.alloc(0);
    let isDone = false;
    socket.on('close', () => sockets.delete(socket)).on('error', () => undefined);
    socket.on('data', (chunk) => {
      heard = Buffer.concat([heard, chunk]);
      const end = heard.indexOf(HEAD_END);
      if (end === -1 || isDone) return;
      const head = heard.subarray(0, end).toString('latin1');
      const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? 0);
      const body = heard.subarray(end + HEAD_END.length);
      if (body.length < length) return;
      isDone = true;
      onRequest(head, body.toString('utf8'), socket);
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
    got,
    get answer() {
      return upstream.answer;
    },
    set answer(answer) {
      upstream.answer = answer;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((done) => server.close(done));
    },
  };
}

function idIn(body: string): unknown {
  return body === '' ? undefined : (JSON.parse(body) as { id?: unknown }).id;
}

/** A whole HTTP answer that ends with the connection. */
export function httpAnswer(status: number, headers: readonly string[], body: Buffer | string): Buffer {
  const head = [`HTTP/1.1 ${status} X`, ...headers, 'Connection: close', '', ''].join('\r\n');
  return Buffer.concat([Buffer.from(head, 'latin1'), Buffer.from(body as string)]);
}
