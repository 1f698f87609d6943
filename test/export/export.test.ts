import { once } from 'node:events';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { type CallId, canonicalJson, type JsonObject, sha256 } from '../../src/base/index.ts';
import { type ExportCommand, exportLog } from '../../src/cli/export.ts';
import { leafHash } from '../../src/intent-log/index.ts';
import { openLogReader } from '../../src/storage/index.ts';
import { openLog } from '../support/embedded-log.ts';
import { intent, newCall, newRun, outcome, runClose, runOpen } from '../support/records.ts';
import { appendSampleRun } from '../support/sample-records.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close().closeAllConnections();
});

async function sampleLog(): Promise<{ data: string; records: number }> {
  const data = temporaryFolder();
  await using log = await openLog(data);
  return { data, records: await appendSampleRun(log) };
}

async function more(data: string, count: number): Promise<void> {
  await using log = await openLog(data);
  for (let i = 0; i < count; i++) await log.append(runOpen(newRun()));
}

function run(flags: Partial<ExportCommand> & Pick<ExportCommand, 'data' | 'format' | 'to'>): Promise<number> {
  return exportLog({ complain: () => {}, signal: new AbortController().signal, ...flags });
}

/** A receiver that answers each request as `answer` says; gives the bodies it took with 200. */
async function receiver(answer: (request: number) => number): Promise<{ url: string; taken: string[] }> {
  const taken: string[] = [];
  let requests = 0;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const status = answer(requests++);
      if (status === 200) taken.push(Buffer.concat(chunks).toString());
      response.writeHead(status).end();
    });
  });
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return { url: `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}/`, taken };
}

const linesOf = (path: string): JsonObject[] =>
  readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as JsonObject);

describe('an export to a file', () => {
  it('holds every record byte for byte, once, however often it is run', async () => {
    const { data, records } = await sampleLog();
    const to = join(temporaryFolder(), 'log.jsonl');
    expect(await run({ data, format: 'jsonl', to })).toBe(0);
    await more(data, 3);
    expect(await run({ data, format: 'jsonl', to })).toBe(0);
    expect(await run({ data, format: 'jsonl', to })).toBe(0);
    using reader = openLogReader(data);
    const stored = [...reader.records(0)].map(({ bytes }) => Buffer.from(bytes).toString());
    expect(stored.length).toBeGreaterThanOrEqual(records + 3);
    expect(readFileSync(to, 'utf8')).toBe(`${stored.join('\n')}\n`);
  });

  it('cuts off what a crash left half written after the last remembered place', async () => {
    const { data } = await sampleLog();
    const to = join(temporaryFolder(), 'log.jsonl');
    await run({ data, format: 'jsonl', to });
    appendFileSync(to, '{"v":1,"idx":99,');
    await more(data, 1);
    expect(await run({ data, format: 'jsonl', to })).toBe(0);
    expect(linesOf(to).map(({ idx }) => idx)).toEqual(linesOf(to).map((_, i) => i));
  });

  it('refuses a file that lost what it had, a damaged cursor, and a cursor of another log', async () => {
    const { data } = await sampleLog();
    const to = join(temporaryFolder(), 'log.jsonl');
    await run({ data, format: 'jsonl', to });
    const { data: other } = await sampleLog();
    await expect(run({ data: other, format: 'jsonl', to })).rejects.toThrow(
      'is not the one that was exported',
    );
    writeFileSync(to, 'short');
    await expect(run({ data, format: 'jsonl', to })).rejects.toThrow('is shorter than');
    writeFileSync(`${to}.cursor`, '{"next":-1}');
    await expect(run({ data, format: 'jsonl', to })).rejects.toThrow('is not the cursor of an export');
    await expect(run({ data, format: 'csv', to })).rejects.toThrow('--format must be one of');
  });
});

describe('an export to a receiver', () => {
  it('loses nothing when the receiver is down, and goes on when it is back', async () => {
    const { data, records } = await sampleLog();
    const { url, taken } = await receiver((request) => (request < 2 ? 503 : 200));
    const complaints: string[] = [];
    const code = await run({ data, format: 'jsonl', to: url, complain: (line) => complaints.push(line) });
    expect(code).toBe(0);
    expect(complaints[0]).toContain('answered with status 503; next try in 0.5 s');
    expect(taken.join('').trimEnd().split('\n').length).toBe(records);
  });

  it('stops when it is told to, and the next one sends what is missing', async () => {
    const { data, records } = await sampleLog();
    const down = await receiver(() => 500);
    const stop = new AbortController();
    const code = await run({
      data,
      format: 'jsonl',
      to: down.url,
      cursor: join(data, 'cursor'),
      signal: stop.signal,
      complain: () => stop.abort(),
    });
    expect(code).toBe(1);
    const up = await receiver(() => 200);
    expect(await run({ data, format: 'jsonl', to: up.url, cursor: join(data, 'cursor') })).toBe(0);
    expect(up.taken.join('').trimEnd().split('\n').length).toBe(records);
  });

  it('follows a log that grows', async () => {
    const { data } = await sampleLog();
    const { url, taken } = await receiver(() => 200);
    const stop = new AbortController();
    const exporting = run({ data, format: 'jsonl', to: url, follow: true, signal: stop.signal });
    await more(data, 2);
    for (let i = 0; i < 40 && taken.join('').split('\n').length < 15; i++) {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    stop.abort();
    expect(await exporting).toBe(0);
    expect(taken.join('').trimEnd().split('\n').length).toBe(15);
  });
});

describe('OCSF events', () => {
  it('chain over a restart of the export, and bind each record by its leaf hash', async () => {
    const { data } = await sampleLog();
    const to = join(temporaryFolder(), 'events.jsonl');
    await run({ data, format: 'ocsf', to });
    await more(data, 2);
    await run({ data, format: 'ocsf', to });
    const events = linesOf(to);
    using reader = openLogReader(data);
    const leaves = [...reader.records(0)].map(({ bytes }) =>
      Buffer.from(leafHash(bytes), 'base64url').toString('hex'),
    );
    expect(events.map((event) => (event['raw_data_hash'] as JsonObject)['value'])).toEqual(leaves);
    let previous: unknown;
    for (const event of events) {
      const [sealed] = event['attestation_list'] as JsonObject[];
      const { fingerprint, ...rest } = sealed as JsonObject;
      const value = Buffer.from(sha256(canonicalJson({ ...event, attestation_list: [rest] })), 'base64url');
      expect(fingerprint).toEqual({ algorithm_id: 3, value: value.toString('hex') });
      expect((rest['prev_event'] as JsonObject | undefined)?.['fingerprint']).toEqual(previous);
      previous = fingerprint;
    }
  });

  it('say who, what and why', async () => {
    const { data } = await sampleLog();
    const to = join(temporaryFolder(), 'events.jsonl');
    await run({ data, format: 'ocsf', to });
    const refused = linesOf(to).find(({ disposition_id }) => disposition_id === 2);
    expect(refused).toMatchObject({
      class_uid: 6003,
      type_uid: 600_399,
      action_id: 2,
      status_code: 'forbidden_by_policy',
      authorizations: [{ decision: 'forbid', policy: { uid: 'no-untrusted-payment', version: 'r1' } }],
      ai_agent: { uid: 'ops-desk' },
      api: { operation: 'tools/call send_payment', service: { name: 'ops' } },
    });
  });
});

describe('OTLP traces', () => {
  it('have a span for each call and run, with the run on every one, also over a restart', async () => {
    const { data } = await sampleLog();
    const to = join(temporaryFolder(), 'traces.jsonl');
    await run({ data, format: 'otlp', to });
    const spans = linesOf(to).flatMap(spansOf);
    expect(spans.map(({ name }) => name)).toEqual([
      'tools/call list_inbox',
      'tools/call list_inbox',
      'tools/call send_payment',
      'unknown',
      'invoke_agent ops-desk',
      'invoke_agent ops-desk',
    ]);
    const [first, second, , , child, root] = spans;
    expect(first).toMatchObject({
      traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
      parentSpanId: '00f067aa0ba902b7',
      status: { code: 1 },
    });
    expect(second).toMatchObject({
      parentSpanId: child?.['spanId'],
      status: { code: 2, message: 'tool_error' },
    });
    expect(child).toMatchObject({ parentSpanId: root?.['spanId'], traceId: root?.['traceId'] });
    const withRun = spans.filter((span) => keysOf(span).includes('sallyport.run'));
    expect(withRun.length).toBe(spans.length - 1); // the refusal of a request that proved no run
  });

  it('keep a call in the trace of its root run when its run is over, and when its client names an invalid trace', async () => {
    const data = temporaryFolder();
    const to = join(temporaryFolder(), 'traces.jsonl');
    const [root, child] = [newRun(), newRun()];
    const chain = [child, root].map((id) => `spiffe://agents.example.org/agent/ops-desk/run/${id}`);
    const zeros = `00-${'0'.repeat(32)}-${'0'.repeat(16)}-01`;
    {
      await using log = await openLog(data);
      await log.append(runOpen(root));
      await log.append(runOpen(child, { parent: root, root, depth: 1 }));
      const calls = [newCall(), newCall(), newCall()];
      const leaves: string[] = [];
      for (const [i, traceparent] of [
        zeros,
        `ff${zeros.slice(2).replaceAll('0', '1')}`,
        undefined,
      ].entries()) {
        const begun = intent(child, calls[i] as CallId, traceparent === undefined ? {} : { traceparent });
        leaves.push((await log.append({ ...begun, actor: { ...begun.actor, chain } })).leaf);
      }
      await log.append(runClose(child));
      for (const [i, call] of calls.entries()) await log.append(outcome(child, call, leaves[i] ?? ''));
      await log.append(runClose(root));
    }
    await run({ data, format: 'otlp', to });
    const spans = linesOf(to).flatMap(spansOf);
    expect(spans).toHaveLength(5);
    expect(new Set(spans.map(({ traceId }) => traceId)).size).toBe(1);
    expect(spans[1]).toMatchObject({ parentSpanId: spans[0]?.['spanId'] });
  });

  it('end spans of calls that an earlier export saw begin', async () => {
    const data = temporaryFolder();
    const to = join(temporaryFolder(), 'traces.jsonl');
    const opened = newRun();
    {
      await using log = await openLog(data);
      await log.append(runOpen(opened));
    }
    await run({ data, format: 'otlp', to });
    {
      await using log = await openLog(data);
      await log.append({ type: 'run.close', run: opened, state: 'revoked', by: 'security', reason: 'stop' });
    }
    await run({ data, format: 'otlp', to });
    expect(linesOf(to).flatMap(spansOf)).toMatchObject([
      { name: 'invoke_agent ops-desk', status: { message: 'revoked' } },
    ]);
  });
});

function spansOf(request: JsonObject): JsonObject[] {
  const resources = request['resourceSpans'] as { scopeSpans: { spans: JsonObject[] }[] }[];
  return resources.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans));
}

function keysOf(span: JsonObject): unknown[] {
  return (span['attributes'] as JsonObject[]).map(({ key }) => key);
}
