import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { describe, expect, it } from 'vitest';
import { type OpsDesk, startOpsDesk } from '../../examples/upstreams/ops-desk/main.ts';
import { ATTACKER } from '../../examples/upstreams/ops-desk/seed.ts';
import { parseCallId } from '../../src/base/index.ts';
import { type CallTokenGateway, startCallTokenGateway } from '../support/call-token-gateway.ts';

type Started = AsyncDisposable & { readonly desk: OpsDesk; readonly gateway: CallTokenGateway };

async function start(): Promise<Started> {
  let desk: OpsDesk | undefined;
  const gateway = await startCallTokenGateway(() => desk?.url ?? '');
  const { issuer, jwksUrl } = gateway;
  desk = await startOpsDesk({ port: 0, issuer, jwksUrl, database: ':memory:' });
  const close = async () => void (await Promise.all([desk?.close(), gateway[Symbol.asyncDispose]()]));
  return { desk, gateway, [Symbol.asyncDispose]: close };
}

async function connect({ desk, gateway }: Started): Promise<Client> {
  const client = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode: 'auto' } });
  await client.connect(new StreamableHTTPClientTransport(new URL(desk.url), { fetch: gateway.fetch }));
  return client;
}

const message = (method: string, params = {}) => ({ jsonrpc: '2.0', id: 1, method, params });
const initialize = message('initialize', {
  protocolVersion: '2025-11-25',
  capabilities: {},
  clientInfo: { name: 'test', version: '1' },
});
const refund = (amount_cents: number) =>
  message('tools/call', {
    name: 'issue_refund',
    arguments: { invoice: 'INV-1042', amount_cents, reason: 'r' },
  });

function post({ desk }: Started, body: object, authorization?: string): Promise<Response> {
  const headers = {
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    ...(authorization !== undefined && { authorization }),
  };
  return fetch(desk.url, { method: 'POST', headers, body: JSON.stringify(body) });
}

describe('the ops desk', () => {
  it('serves a client of 2026-07-28 and notes each credential with run and tool', async () => {
    await using started = await start();
    const client = await connect(started);
    const { tools } = await client.listTools();
    expect(tools.map(({ name }) => name)).toEqual([
      'list_inbox',
      'read_mail',
      'find_customer',
      'get_invoice',
      'issue_refund',
      'create_payment',
      'send_mail',
    ]);
    const { structuredContent } = await client.callTool({ name: 'read_mail', arguments: { id: 'mail-2' } });
    expect(structuredContent).toMatchObject({ body: expect.stringContaining(ATTACKER.iban) });
    await client.close();

    const seen = started.desk.seen();
    expect(seen.map(({ method, tool }) => tool ?? method)).toEqual([
      'server/discover',
      'tools/list',
      'read_mail',
    ]);
    for (const { jti, run } of seen) {
      expect(parseCallId(jti)).toBeDefined();
      expect(run).toBe(started.gateway.run.spiffeId);
    }
  });

  it('serves a client of 2025-11-25', async () => {
    await using started = await start();
    const client = new ClientV1({ name: 'v1', version: '1' });
    await client.connect(new TransportV1(new URL(started.desk.url), { fetch: started.gateway.fetch }));
    const result = await client.callTool({ name: 'find_customer', arguments: { query: 'hafenbau' } });
    expect(result['structuredContent']).toMatchObject({ customers: [{ id: 'C-17' }] });
    await client.close();
  });

  it.each([initialize, message('tools/list'), message('server/discover'), message('ping'), refund(1)])(
    'takes no $method without a credential',
    async (body) => {
      await using started = await start();
      for (const authorization of [undefined, 'Bearer forged', 'DPoP x', 'Basic eDp5']) {
        expect((await post(started, body, authorization)).status).toBe(401);
      }
      expect(started.desk.seen()).toEqual([]);
    },
  );

  it('takes a credential once, for its own tool and its own arguments only', async () => {
    await using started = await start();
    const { gateway, desk } = started;
    const authorization = gateway.authorize('POST', refund(100));
    expect((await post(started, refund(4200), authorization)).status).toBe(401);
    const other = message('tools/call', { ...refund(100).params, name: 'create_payment' });
    expect((await post(started, other, authorization)).status).toBe(401);
    expect((await post(started, refund(100), authorization)).status).toBe(200);
    expect((await post(started, refund(100), authorization)).status).toBe(401);
    expect(desk.refunds()).toEqual([{ invoice: 'INV-1042', amount_cents: 100, reason: 'r' }]);
    expect(desk.seen()).toHaveLength(1);
  });

  it('takes no credential for another server', async () => {
    await using started = await start();
    const audience = 'http://127.0.0.1:1/mcp';
    const authorization = started.gateway.authorize('POST', refund(100), { audience });
    expect((await post(started, refund(100), authorization)).status).toBe(401);
  });

  it('takes no credential of another gateway', async () => {
    await using started = await start();
    await using other = await startCallTokenGateway(() => started.desk.url);
    expect((await post(started, refund(100), other.authorize('POST', refund(100)))).status).toBe(401);
    expect(started.desk.refunds()).toEqual([]);
  });

  it('has no stream and no sessions, and nothing beside its one path', async () => {
    await using started = await start();
    const authorization = started.gateway.authorize('GET', undefined);
    expect((await fetch(started.desk.url)).status).toBe(401);
    expect((await fetch(started.desk.url, { headers: { authorization } })).status).toBe(405);
    expect((await fetch(new URL('/', started.desk.url))).status).toBe(404);
  });

  it('refunds no more than an invoice is worth', async () => {
    await using started = await start();
    const client = await connect(started);
    const call = (amount_cents: number) =>
      client.callTool({
        name: 'issue_refund',
        arguments: { invoice: 'INV-1042', amount_cents, reason: 'r' },
      });
    expect(await call(4201)).toMatchObject({ isError: true });
    expect(await call(4200)).not.toMatchObject({ isError: true });
    expect(await call(1)).toMatchObject({ isError: true });
    expect(started.desk.refunds()).toHaveLength(1);
    await client.close();
  });

  it('moves money and mail when asked to: stopping that is not its job', async () => {
    await using started = await start();
    const client = await connect(started);
    const payment = { iban: ATTACKER.iban, amount_cents: 490_000, reference: 'x' };
    await client.callTool({ name: 'create_payment', arguments: payment });
    await client.callTool({ name: 'send_mail', arguments: { to: ATTACKER.email, subject: 's', body: 'b' } });
    expect(started.desk.payments()).toEqual([payment]);
    expect(started.desk.sentMails()).toEqual([{ recipient: ATTACKER.email, subject: 's', body: 'b' }]);
    await client.close();
  });
});
