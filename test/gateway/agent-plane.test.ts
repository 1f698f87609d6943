import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { logProveReceipt, logVerifyReceipt } from '../../src/cli/log-receipt.ts';
import { openOperatorKey, signOperatorToken } from '../../src/gateway/index.ts';
import type { LogRecord, RefusalRecord } from '../../src/intent-log/index.ts';
import { createAgentKey } from '../support/agent-key.ts';
import { type OpenOpsGateway, openOpsGateway, readRecords } from '../support/open-ops-gateway.ts';
import { callTool, MCP_HEADERS, openBareRun, refusalOf, rpc } from '../support/ops-gateway.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

let setting: OpenOpsGateway;

beforeAll(async () => {
  setting = await openOpsGateway();
});
afterAll(() => setting[Symbol.asyncDispose]());

const INVOICE = { number: 'INV-1042' };

/** The records of one request, found by the call id its answer named. */
function recordsOf(call: unknown): LogRecord[] {
  return readRecords(setting.data).filter((record) => 'call' in record && record.call === call);
}

async function refusedWith(
  response: Response,
): Promise<{ status: number; message: string; record: RefusalRecord }> {
  const body = (await response.json()) as { error: { message: string; data?: { call?: string } } };
  const call = body.error.data?.call;
  const refusals = readRecords(setting.data).filter((record) => record.type === 'refusal');
  const record = call === undefined ? refusals.at(-1) : refusals.find((refusal) => refusal.call === call);
  if (record === undefined) throw new Error('the refusal is not in the log');
  return { status: response.status, message: body.error.message, record };
}

/** Runs an action and checks that the upstream saw nothing of it. */
async function unseen<T>(act: () => Promise<T>): Promise<T> {
  const before = setting.opsDesk.seen().length;
  const result = await act();
  expect(setting.opsDesk.seen().length).toBe(before);
  return result;
}

describe('the way of a call', () => {
  it('INVARIANT: every request ends in exactly one record: allowed', async () => {
    await using run = await setting.startRun();
    const { body } = await callTool(run, 'get_invoice', INVOICE);
    const result = body['result'] as { _meta: { 'sallyport/receipt': { call: string; intent: string } } };
    const { call, intent } = result._meta['sallyport/receipt'];
    const records = recordsOf(call);
    expect(records.map((record) => record.type)).toEqual(['intent', 'outcome']);
    expect(records[1]).toMatchObject({ intent, status: 'ok', credential: { id: call, kind: 'call-token' } });
    expect(setting.opsDesk.seen().filter((seen) => seen.jti === call)).toHaveLength(1);
  });

  it('gives a receipt that can be turned into proofs, which a stranger verifies without the log', async () => {
    await using run = await setting.startRun();
    const { body } = await callTool(run, 'get_invoice', INVOICE);
    const folder = temporaryFolder();
    const [receipt, policy] = [join(folder, 'result.json'), join(folder, 'policy')];
    writeFileSync(receipt, JSON.stringify(body));
    const key = readFileSync(join(setting.data, 'log-public-key'), 'utf8').trim();
    writeFileSync(policy, `log ${key}\nquorum none\n`);
    const lines: string[] = [];
    const out = (line: string): void => void lines.push(line);
    const prove = () => logProveReceipt(receipt, { folder: setting.data, to: folder, out });
    for (let i = 0; i < 50 && prove() !== 0; i++) await sleep(100);
    const verify = (file: string) => logVerifyReceipt({ receipt: file, policy, proofs: folder, out });
    lines.length = 0;
    expect(verify(receipt)).toBe(0);
    expect(lines.map((line) => line.split(' of call ')[0])).toEqual(['intent', 'outcome']);

    // What an upstream wrote down of the credential is good for the same.
    const held = (body['result'] as { _meta: Record<string, Record<string, unknown>> })._meta;
    const { call, intent, outcome, ...places } = held['sallyport/receipt'] ?? {};
    const line = join(folder, 'ledger');
    writeFileSync(line, `${JSON.stringify({ jti: call, intent, time: 'now' })}\n`);
    expect(logProveReceipt(line, { folder: setting.data, to: folder, out })).toBe(0);
    expect(verify(line)).toBe(0);

    // A receipt of something else, or of another log, is not borne out by these proofs.
    for (const forged of [
      { ...places, call, intent: outcome },
      { ...places, call, intent, outcome: intent },
      { ...places, call, intent, index: 0 },
      { ...places, call, intent, origin: 'other.example.org/log' },
    ]) {
      const file = join(folder, 'forged.json');
      writeFileSync(file, JSON.stringify(forged));
      expect(verify(file)).toBe(1);
    }
    const unknown = join(folder, 'unknown.json');
    writeFileSync(unknown, JSON.stringify({ call, intent: 'A'.repeat(43) }));
    expect(logProveReceipt(unknown, { folder: setting.data, to: folder, out })).toBe(1);
    expect(lines.at(-1)).toContain('is NOT in this log');
  });

  it('INVARIANT: every request ends in exactly one record: refused by policy', async () => {
    await using run = await setting.startRun();
    const { status, body } = await unseen(() =>
      callTool(run, 'create_payment', { iban: 'DE00', amount_cents: 1, reference: 'x' }),
    );
    expect(status).toBe(200);
    const refusal = refusalOf(body);
    expect(refusal).toMatchObject({ code: 'not_permitted', approvalWouldHelp: false });
    expect(recordsOf(refusal?.['call']).map((record) => record.type)).toEqual(['refusal']);
  });

  it('answers an unknown tool and a denied tool alike', async () => {
    await using run = await setting.startRun();
    const denied = refusalOf((await callTool(run, 'create_payment', {})).body);
    const unknown = refusalOf((await callTool(run, 'no_such_tool', {})).body);
    expect({ ...unknown, call: '' }).toEqual({ ...denied, call: '' });
  });

  it('INVARIANT: decided bytes are sent bytes', async () => {
    const run = await openBareRun(setting);
    const twice = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"issue_refund","arguments":
      {"invoice":"INV-1042","reason":"x","amount_cents":1,"amount_cents":4200}}}`;
    const response = await unseen(() =>
      run.post({ authorization: `DPoP ${run.token}`, dpop: run.prove() }, twice),
    );
    expect(await refusedWith(response)).toMatchObject({
      status: 400,
      record: { early: { reason: 'ambiguous_json' } },
    });
  });

  it('carries a label from a result to the next decision, also of the parent', async () => {
    await using parent = await setting.startRun();
    const grant = await parent.delegate({ purpose: 'refund-desk', maxCalls: 5, maxDepth: 0 });
    expect(refusalOf((await callTool(parent, 'find_customer', { query: 'x' })).body)).toBeUndefined();
    const { startRun } = await import('../../src/client/index.ts');
    await using child = await startRun({
      gateway: setting.publicUrl,
      assertion: grant,
      intent: { purpose: 'refund-desk', maxCalls: 5, maxDepth: 0 },
    });
    await callTool(child, 'list_inbox');
    expect(refusalOf((await callTool(parent, 'find_customer', { query: 'x' })).body)).toMatchObject({
      code: 'forbidden_by_policy',
    });
  });

  it('refuses the call after the last one a run was granted', async () => {
    await using run = await setting.startRun({ maxCalls: 1 });
    expect(refusalOf((await callTool(run, 'get_invoice', INVOICE)).body)).toBeUndefined();
    const second = await unseen(() => callTool(run, 'get_invoice', INVOICE));
    expect(refusalOf(second.body)).toMatchObject({ code: 'outside_envelope' });
  });

  it('lists only tools that the run could be permitted to call', async () => {
    await using run = await setting.startRun({ tools: ['ops-desk/get_invoice', 'ops-desk/create_payment'] });
    const response = await run.fetch(run.mcpUrl('ops-desk'), {
      method: 'POST',
      headers: MCP_HEADERS,
      body: rpc('tools/list', {}),
    });
    const text = await response.text();
    const names = [...text.matchAll(/"name":"([a-z_]+)","/g)].map((match) => match[1]);
    expect(names).toEqual(['get_invoice']);
  });

  it('refuses methods that neither MCP nor policy knows', async () => {
    await using run = await setting.startRun();
    const response = await unseen(() =>
      run.fetch(run.mcpUrl('ops-desk'), {
        method: 'POST',
        headers: MCP_HEADERS,
        body: rpc('tools/execute', {}),
      }),
    );
    expect(await refusedWith(response)).toMatchObject({ record: { decision: { code: 'unknown_method' } } });
  });
});

describe('bad input', () => {
  const call = rpc('tools/call', { name: 'get_invoice', arguments: INVOICE });

  it.each([
    ['malformed JSON', '{"jsonrpc":', 400, 'not_json'],
    ['a batch', `[${call}]`, 400, 'batch'],
    ['5 MB', `"${'x'.repeat(5 * 1024 * 1024)}"`, 413, 'body_too_large'],
    ['a byte order mark', `\ufeff${call}`, 400, 'not_json'],
    ['a key in another case', call.replace('"method"', '"Method"'), 400, 'ambiguous_key'],
  ])('refuses %s, and says so in answer and log', async (_, body, status, reason) => {
    const run = await openBareRun(setting);
    const headers = { authorization: `DPoP ${run.token}`, dpop: run.prove() };
    const response = await unseen(() => run.post(headers, body));
    const refused = await refusedWith(response);
    expect(refused).toMatchObject({ status, record: { early: { reason } } });
    expect(refused.message).not.toBe('');
  });

  it('refuses a token for another upstream', async () => {
    const run = await openBareRun(setting, `${setting.publicUrl}/mcp/ops-desk`);
    const url = `${setting.publicUrl}/mcp/other`;
    const headers = { ...MCP_HEADERS, authorization: `DPoP ${run.token}`, dpop: run.prove({ url }) };
    const response = await fetch(url, { method: 'POST', headers, body: call });
    expect(await refusedWith(response)).toMatchObject({
      status: 401,
      record: { early: { reason: 'token_invalid', detail: 'wrong_audience' } },
    });
  });

  it('takes a proof whatever the case of its header, and refuses two in headers of their own', async () => {
    const run = await openBareRun(setting);
    const statusOf = async (proofs: Record<string, string[]>): Promise<number | undefined> => {
      const headers = { ...MCP_HEADERS, authorization: `DPoP ${run.token}`, ...proofs };
      const sent = request(run.url, { method: 'POST', headers }).end(rpc('ping', {}));
      const [response] = (await once(sent, 'response')) as [IncomingMessage];
      response.resume();
      return response.statusCode;
    };
    expect(await statusOf({ DpOp: [run.prove()] })).not.toBe(401);
    const both = [run.prove(), run.prove()];
    for (const name of ['dpop', 'DPoP']) expect(await unseen(() => statusOf({ [name]: both }))).toBe(401);
    const last = readRecords(setting.data).findLast((record) => record.type === 'refusal');
    expect(last).toMatchObject({ early: { reason: 'proof_invalid', detail: 'repeated' } });
  });

  it('refuses a request without a proof, and one with the proof of another key', async () => {
    const run = await openBareRun(setting);
    const authorization = `DPoP ${run.token}`;
    const without = await unseen(() => run.post({ authorization }, call));
    expect(await refusedWith(without)).toMatchObject({
      status: 401,
      record: { early: { detail: 'missing' } },
    });
    const thief = createAgentKey(Date.now);
    const dpop = thief.prove({ url: run.url, token: run.token });
    const stolen = await unseen(() => run.post({ authorization, dpop }, call));
    expect(await refusedWith(stolen)).toMatchObject({
      status: 401,
      record: { early: { reason: 'key_mismatch' } },
    });
  });

  it('refuses a proof that was used before', async () => {
    const run = await openBareRun(setting);
    const headers = { authorization: `DPoP ${run.token}`, dpop: run.prove() };
    expect((await run.post(headers, call)).status).toBe(200);
    const replayed = await unseen(() => run.post(headers, call));
    expect(await refusedWith(replayed)).toMatchObject({
      status: 401,
      record: { early: { reason: 'proof_replayed' } },
    });
  });

  it('refuses a host name that is not its own, before anything else', async () => {
    const { request } = await import('undici');
    const run = await openBareRun(setting);
    const { statusCode } = await unseen(() =>
      request(run.url, {
        method: 'POST',
        headers: {
          ...MCP_HEADERS,
          host: 'rebound.example',
          authorization: `DPoP ${run.token}`,
          dpop: run.prove(),
        },
        body: call,
      }),
    );
    expect(statusCode).toBe(403);
  });
});

describe('the end of a run', () => {
  it('takes effect on the next call, for its sub-agents too', async () => {
    const { startRun } = await import('../../src/client/index.ts');
    const parent = await setting.startRun();
    const intent = { purpose: 'refund-desk', maxCalls: 5, maxDepth: 0 };
    const child = await startRun({
      gateway: setting.publicUrl,
      assertion: await parent.delegate(intent),
      intent,
    });
    expect((await callTool(child, 'get_invoice', INVOICE)).status).toBe(200);
    await parent.end();
    for (const run of [parent, child]) {
      const { status } = await unseen(() => callTool(run, 'get_invoice', INVOICE));
      expect(status).toBe(401);
    }
  });

  it('by an operator on the admin plane is in force when the answer comes, and in the log', async () => {
    const run = await setting.startRun();
    const { adminUrl } = setting.gateway;
    const token = await signOperatorToken(await openOperatorKey(setting.data), adminUrl, Date.now);
    const revoked = await fetch(`${adminUrl}/v1/runs/${run.id}/revoke`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ reason: 'behaves oddly' }),
    });
    expect(await revoked.json()).toEqual({ revoked: [run.id] });
    expect((await unseen(() => callTool(run, 'get_invoice', INVOICE))).status).toBe(401);
    const closed = readRecords(setting.data).find(
      (record) => record.type === 'run.close' && record.run === run.id,
    );
    expect(closed).toMatchObject({ state: 'revoked', by: 'operator', reason: 'behaves oddly' });
  });
});

describe('the admin plane', () => {
  it.each([
    ['nobody', async () => ({})],
    [
      'an agent with its run token',
      async () => ({ authorization: `Bearer ${(await openBareRun(setting)).token}` }),
    ],
    [
      'an operator of another gateway',
      async () => {
        const key = await openOperatorKey(setting.data);
        return { authorization: `Bearer ${await signOperatorToken(key, 'http://127.0.0.1:1', Date.now)}` };
      },
    ],
    [
      'an operator token that is too old',
      async () => {
        const key = await openOperatorKey(setting.data);
        const then = (): number => Date.now() - 120_000;
        return { authorization: `Bearer ${await signOperatorToken(key, setting.gateway.adminUrl, then)}` };
      },
    ],
  ])('is closed to %s', async (_, headersOf) => {
    const headers: Record<string, string> = await headersOf();
    for (const path of ['/v1/runs', '/v1/status']) {
      expect((await fetch(`${setting.gateway.adminUrl}${path}`, { headers })).status).toBe(401);
    }
  });

  it('is not reachable through the agent plane', async () => {
    for (const path of ['/v1/runs', '/v1/status', '/mcp/../v1/runs']) {
      expect((await fetch(`${setting.publicUrl}${path}`)).status).toBe(404);
    }
  });

  it('keeps the operator key to its owner', async () => {
    const file = join(setting.data, 'keys', 'operator.jwk');
    expect(JSON.parse(await readFile(file, 'utf8'))).toHaveProperty('d');
    const { mode } = await import('node:fs').then((fs) => fs.statSync(file));
    expect(mode & 0o077).toBe(0);
  });
});
