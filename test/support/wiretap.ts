import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { askedFor, canonicalJson } from '../../src/base/index.ts';
import { decodeRecord, type LogRecord } from '../../src/intent-log/index.ts';
import { openContentReader, openLogReader } from '../../src/storage/index.ts';
import { type HttpServer, serveHttp } from './serve-http.ts';

type Json = Record<string, unknown>;
type Intent = Extract<LogRecord, { type: 'intent' }>;
export type Tapped = { readonly call: string; readonly run: string; readonly method: string };

/** Stands before an upstream and compares, as each message comes, what it hears with what is in the log by then. */
export type Wiretap = HttpServer & {
  readonly heard: readonly Tapped[];
  /** What was heard and should not have been. */
  readonly wrong: readonly string[];
};

/** `data`: the folder of the gateway whose log is to know of everything; undefined while it starts. */
export async function startWiretap(
  target: string,
  upstream: string,
  data: () => string | undefined,
): Promise<Wiretap> {
  const heard: Tapped[] = [];
  const wrong: string[] = [];
  const url = new URL(target);

  function listen(request: IncomingMessage, body: string): void {
    const message = (body === '' ? undefined : JSON.parse(body)) as Json | undefined;
    const method = String(message?.['method'] ?? (message === undefined ? request.method : 'response'));
    const claims = claimsOf(request);
    if (claims === undefined) return void wrong.push(`${method} without a call token`);
    const { jti: call, sub: run } = claims;
    if (heard.some((other) => other.call === call)) wrong.push(`${method} under the call of another message`);
    heard.push({ call, run, method });
    const folder = data();
    if (folder === undefined) return;
    const intent = intentOf(call, folder);
    if (intent === undefined) return void wrong.push(`${method} without an intent in the log`);
    const { subject } = intent;
    if (subject.upstream !== upstream || subject.method !== method)
      wrong.push(`${method} at ${upstream}, and the log says ${subject.method} at ${subject.upstream}`);
    using content = openContentReader(folder);
    const kept = content.find(intent);
    if (kept.state !== 'kept' || kept.text !== canonicalJson(askedFor(message as never)))
      wrong.push(`${method} with other arguments than the log says`);
    if (!run.endsWith(intent.run)) wrong.push(`${method} in the name of another run`);
  }

  const server = await serveHttp((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks);
      listen(request, body.toString('utf8'));
      pass(url, request, body, response);
    });
  });
  return { ...server, heard, wrong };
}

function pass(url: URL, request: IncomingMessage, body: Buffer, response: ServerResponse): void {
  const { method, headers } = request;
  const { port, pathname: path } = url;
  const onward = httpRequest({
    host: '127.0.0.1',
    port,
    path,
    method,
    headers: { ...headers, host: url.host },
  });
  onward.on('response', (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    response.flushHeaders();
    answer.pipe(response);
    answer.on('error', () => response.destroy());
  });
  onward.on('error', () => response.destroy());
  response.on('close', () => onward.destroy());
  onward.end(body);
}

function claimsOf({ headers }: IncomingMessage): { jti: string; sub: string } | undefined {
  const payload = headers.authorization?.split('.')[1];
  return payload === undefined ? undefined : JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
}

function intentOf(call: string, data: string): Intent | undefined {
  using reader = openLogReader(data);
  for (const { bytes } of reader.records(0)) {
    const record = decodeRecord(bytes);
    if (record.ok && record.value.type === 'intent' && record.value.call === call) return record.value;
  }
  return undefined;
}
