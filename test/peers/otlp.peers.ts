// What the exporter sends, received as a collector would: decoded by the protobuf messages that OpenTelemetry publishes.
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/base/index.ts';
import { exportLog } from '../../src/cli/export.ts';
import { openLogReader } from '../../src/storage/index.ts';
import { openLog } from '../support/embedded-log.ts';
import { intent, newCall, newRun, outcome, runOpen } from '../support/records.ts';
import { appendSampleRun } from '../support/sample-records.ts';

type Message = { readonly [field: string]: unknown };
/** As much of a generated message type as is used. */
type MessageType = {
  fromObject(value: object): Message;
  encode(message: Message): { finish(): Uint8Array };
  decode(bytes: Uint8Array): Message;
  toObject(message: Message, options: object): JsonObject;
};
type Attribute = { readonly key: string; readonly value: JsonObject };
type Span = {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly Attribute[];
  readonly status: { readonly code: number; readonly message?: string };
};

const peer = createRequire(join(import.meta.dirname, 'package.json'));
const published = peer('@opentelemetry/otlp-transformer/build/src/generated/root.js') as {
  opentelemetry: { proto: { collector: { trace: { v1: { ExportTraceServiceRequest: MessageType } } } } };
};
const Request = published.opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest;
const conventions = new Set(
  Object.values(peer('@opentelemetry/semantic-conventions/incubating') as { [name: string]: unknown }),
);

const ID = /^(?:[0-9a-f]{32}|[0-9a-f]{16})$/;
const ID_FIELDS: ReadonlySet<string> = new Set(['traceId', 'spanId', 'parentSpanId']);

/** OTLP/JSON writes ids in hex where protobuf's JSON has base64; everything else is protobuf's JSON. */
function withIds(value: unknown, convert: (id: string) => unknown): unknown {
  if (Array.isArray(value)) return value.map((each) => withIds(each, convert));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [
      name,
      ID_FIELDS.has(name) ? convert(each as string) : withIds(each, convert),
    ]),
  );
}

/** The request after a way through protobuf's bytes: what the schema does not know is not in it any more. */
function throughProtobuf(request: JsonObject): unknown {
  const message = Request.fromObject(
    withIds(request, (id) => {
      if (!ID.test(id) || /^0+$/.test(id)) throw new TypeError(`not an id: ${id}`);
      return Buffer.from(id, 'hex');
    }) as object,
  );
  const decoded = Request.decode(Request.encode(message).finish());
  const plain = Request.toObject(decoded, { longs: String, bytes: Array, oneofs: false });
  return withIds(plain, (bytes) => Buffer.from(bytes as unknown as number[]).toString('hex'));
}

type Collector = AsyncDisposable & {
  readonly url: string;
  readonly taken: JsonObject[];
  readonly types: string[];
};

/** Takes requests to `/v1/traces` that the schema accepts, and answers others with 400. */
async function startCollector(): Promise<Collector> {
  const taken: JsonObject[] = [];
  const types: string[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    types.push(`${request.method} ${request.url} ${request.headers['content-type']}`);
    try {
      const body = JSON.parse(Buffer.concat(chunks).toString()) as JsonObject;
      expect(throughProtobuf(body)).toEqual(body);
      taken.push(body);
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    } catch (error) {
      response.writeHead(400).end(String(error));
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}/v1/traces`,
    taken,
    types,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
    },
  };
}

let collector: Collector;
let data: string;
let spans: readonly Span[];

beforeAll(async () => {
  collector = await startCollector();
  data = mkdtempSync(join(tmpdir(), 'sallyport-otlp-'));
  {
    await using log = await openLog(data);
    await appendSampleRun(log);
    const [run, call] = [newRun(), newCall()];
    await log.append(runOpen(run));
    const destination = { scheme: 'https', host: 'ops.example', port: 443, protocol: '2026-07-28' };
    const { leaf } = await log.append(
      intent(run, call, { destination, rpcId: 'a-text', traceparent: 'nonsense' }),
    );
    const credential = { id: 'c1', kind: 'call-token', expiresAt: 1 };
    await log.append(outcome(run, call, leaf, { credential, micros: 1234 }));
  }
  const complaints: string[] = [];
  const signal = AbortSignal.timeout(20_000);
  const complain = (line: string): void => void complaints.push(line);
  const code = await exportLog({ data, format: 'otlp', to: collector.url, signal, complain });
  expect(complaints).toEqual([expect.stringMatching(/^exported up to/)]);
  expect(code).toBe(0);
  const resources = collector.taken.flatMap(
    (request) => request['resourceSpans'] as unknown as { scopeSpans: { spans: Span[] }[] }[],
  );
  spans = resources.flatMap(({ scopeSpans }) => scopeSpans.flatMap((scope) => scope.spans));
});
afterAll(async () => {
  rmSync(data, { recursive: true, force: true });
  await collector[Symbol.asyncDispose]();
});

const valueOfKey = (span: Span, key: string): unknown =>
  span.attributes.find((attribute) => attribute.key === key)?.value['stringValue'];

describe('OTLP, decoded by the published protobuf messages', () => {
  it('is sent as OTLP/HTTP in JSON, and every field of it is one of the schema', () => {
    expect(new Set(collector.types)).toEqual(new Set(['POST /v1/traces application/json']));
    expect(spans).toHaveLength(7);
  });

  it('has a check that sees unknown fields, wrong types and bad ids', () => {
    const request = collector.taken[0] as JsonObject;
    const change = (from: RegExp, to: string): JsonObject =>
      JSON.parse(JSON.stringify(request).replace(from, to)) as JsonObject;
    for (const wrong of [
      change(/"kind":2/, '"kynd":2'),
      change(/"startTimeUnixNano":"/, '"start_nano":"'),
      change(/"stringValue"/, '"textValue"'),
      change(/"kind":2/, '"kind":"two"'),
      change(/"traceId":"../, '"traceId":"'),
      change(/"spanId":"[0-9a-f]{16}"/, '"spanId":"0000000000000000"'),
    ]) {
      let seen: unknown;
      try {
        seen = throughProtobuf(wrong);
      } catch {
        continue;
      }
      expect(seen).not.toEqual(wrong);
    }
  });

  it('names what the semantic conventions name by their names, and the rest after the gateway', () => {
    const names = new Set(spans.flatMap(({ attributes }) => attributes.map(({ key }) => key)));
    expect([...names].filter((name) => !name.startsWith('sallyport.') && !conventions.has(name))).toEqual([]);
    expect(names).toContain('mcp.method.name');
    expect(names).toContain('mcp.protocol.version');
    expect(names).toContain('gen_ai.tool.name');
    for (const { attributes } of spans)
      expect(new Set(attributes.map(({ key }) => key)).size).toBe(attributes.length);
  });

  it('has the run on every span of a request that proved one, and no other', () => {
    using reader = openLogReader(data);
    const runs = [...reader.records(0)].flatMap(({ bytes }) => {
      const record = JSON.parse(Buffer.from(bytes).toString()) as {
        type: string;
        run?: string;
        call?: string;
      };
      return record.type === 'intent' || record.type === 'refusal' ? [[record.call, record.run]] : [];
    });
    const runOfCall = new Map(runs as [string, string | undefined][]);
    for (const span of spans) {
      const call = valueOfKey(span, 'sallyport.call');
      const run = valueOfKey(span, 'sallyport.run');
      if (call === undefined) expect(run).toBeTypeOf('string');
      else expect(run).toBe(runOfCall.get(call as string));
      expect(valueOfKey(span, 'gen_ai.conversation.id')).toBe(run);
    }
  });

  it('has ids that are unique, parents that are there or are the client\u2019s, and times in order', () => {
    const ids = new Set(spans.map(({ spanId }) => spanId));
    expect(ids.size).toBe(spans.length);
    const away = spans.filter(({ parentSpanId }) => parentSpanId !== undefined && !ids.has(parentSpanId));
    expect(away.map(({ parentSpanId, traceId }) => [traceId, parentSpanId])).toContainEqual([
      '4bf92f3577b34da6a3ce929d0e0e4736',
      '00f067aa0ba902b7',
    ]);
    expect(away).toHaveLength(2); // the client's, and that of a run which is not over
    for (const { startTimeUnixNano, endTimeUnixNano } of spans)
      expect(BigInt(endTimeUnixNano) >= BigInt(startTimeUnixNano)).toBe(true);
    const inTrace = (span: Span): boolean =>
      spans.every((parent) => parent.spanId !== span.parentSpanId || parent.traceId === span.traceId);
    expect(spans.every(inTrace)).toBe(true);
  });

  it('says server or internal, and error with its type exactly where something failed', () => {
    for (const span of spans) {
      expect(span.kind).toBe(valueOfKey(span, 'mcp.method.name') === undefined ? 1 : 2);
      expect(valueOfKey(span, 'error.type') !== undefined).toBe(span.status.code === 2 && span.kind === 2);
      const tool = valueOfKey(span, 'gen_ai.tool.name');
      const operation = tool !== undefined ? 'execute_tool' : span.kind === 1 ? 'invoke_agent' : undefined;
      expect(valueOfKey(span, 'gen_ai.operation.name')).toBe(operation);
    }
  });
});
