import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { SallyportError } from '../../src/base/index.ts';
import { startRun } from '../../src/client/index.ts';
import { startFakeAgentPlane } from '../support/fake-agent-plane.ts';

const intent = { purpose: 'refund-desk', tools: ['ops-desk/*'] };

describe('a run', () => {
  it('declares its intent and keeps the task text to itself', async () => {
    await using plane = await startFakeAgentPlane();
    const task = 'answer the mail of Ms. Berg';
    const declared = { ...intent, task, maxCalls: 20, maxDepth: 1, expiresIn: 600 };
    await using run = await startRun({ gateway: plane.url, assertion: 'join-me', intent: declared });

    expect(run.id).toMatch(/^[0-9A-Z]{26}$/);
    const form = plane.forms[0] ?? {};
    expect(form['resource']).toBe(`${plane.url}/mcp`);
    expect(JSON.stringify(plane.forms)).not.toContain('Berg');
    expect(JSON.parse(form['authorization_details'] ?? '')).toEqual([
      {
        type: 'sallyport_intent',
        purpose: 'refund-desk',
        task_digest: expect.stringMatching(/^[\w-]{43}$/),
        tools: ['ops-desk/*'],
        max_calls: 20,
        max_depth: 1,
        expires_in: 600,
      },
    ]);
  });

  it('sends the token with a fresh proof for method, path and token on each request', async () => {
    await using plane = await startFakeAgentPlane();
    await using run = await startRun({ gateway: plane.url, assertion: 'join-me', intent });
    const url = run.mcpUrl('files');

    // The fake refuses any proof whose htm, htu, ath, jti or key is wrong.
    const statuses = [
      await run.fetch(`${url}?page=2#part`, { method: 'post', body: '{}' }),
      await run.fetch(url, { method: 'POST', body: '{}' }),
      await run.fetch(new URL(url)),
      await run.fetch(new Request(url, { method: 'DELETE' })),
      await run.fetch(new Request(url, { method: 'POST', body: '{"a":1}', headers: { 'x-own': '1' } })),
    ].map((response) => response.status);
    expect(statuses).toEqual([200, 200, 200, 200, 200]);
    expect(plane.mcpRequests.at(-1)?.headers['x-own']).toBe('1');
  });

  it('replaces an Authorization header that the caller set', async () => {
    await using plane = await startFakeAgentPlane();
    await using run = await startRun({ gateway: plane.url, assertion: 'join-me', intent });
    const headers = { authorization: 'Bearer mine', DPoP: 'mine' };
    expect((await run.fetch(run.mcpUrl('files'), { headers })).status).toBe(200);
  });

  it('shows neither token nor key when it is printed or serialised', async () => {
    await using plane = await startFakeAgentPlane({
      tokenAnswer: (answer) => ({ ...answer, access_token: 'canary-token' }),
    });
    const run = await startRun({ gateway: plane.url, assertion: 'join-me', intent });
    const shown = inspect(run, { depth: 9, showHidden: true }) + JSON.stringify(run);
    expect(shown).toContain(run.id);
    expect(shown).not.toMatch(/canary-token|CryptoKey|join-me/);
  });

  it('ends with its last use and is refused from then on', async () => {
    await using plane = await startFakeAgentPlane();
    const run = await startRun({ gateway: plane.url, assertion: 'join-me', intent });
    await run.end();
    await run.end();
    await run[Symbol.asyncDispose]();
    expect(plane.ended).toEqual([run.id]);
    expect((await run.fetch(run.mcpUrl('files'))).status).toBe(401);
  });

  it('can be ended when its token has run out', async () => {
    let now = Date.now();
    await using plane = await startFakeAgentPlane({ now: () => now });
    const run = await startRun({ gateway: plane.url, assertion: 'join-me', intent, now: () => now });
    now += 301_000;
    await run.end();
    expect(plane.ended).toEqual([run.id]);
    expect(plane.forms).toHaveLength(1);
  });

  it('can be ended once more when the first try failed', async () => {
    await using plane = await startFakeAgentPlane();
    let isDown = false;
    const fetch: typeof globalThis.fetch = (input, init) =>
      isDown ? Promise.reject(new TypeError('fetch failed')) : globalThis.fetch(input, init);
    const run = await startRun({ gateway: plane.url, assertion: 'join-me', intent, fetch });
    isDown = true;
    await expect(run.end()).rejects.toMatchObject({ code: 'ERR_REQUEST_REFUSED' });
    isDown = false;
    await run.end();
    expect(plane.ended).toEqual([run.id]);
  });

  it('says why the gateway refused it, with the error and its description', async () => {
    await using plane = await startFakeAgentPlane();
    const refused = startRun({ gateway: plane.url, assertion: 'forged', intent });
    await expect(refused).rejects.toThrow(SallyportError);
    await expect(refused).rejects.toMatchObject({
      code: 'ERR_REQUEST_REFUSED',
      message: '/oauth/token answered invalid_grant: the assertion is not known',
    });
  });

  it('says neither what it was asked with nor a book when a server does', async () => {
    const assertion = `${'h'.repeat(20)}.${'c'.repeat(20)}.${'s'.repeat(20)}`;
    const told = `no: ${assertion}\u001b[2J${'x'.repeat(10_000)}`;
    const fetch: typeof globalThis.fetch = async () =>
      Response.json({ error: 'invalid_grant', error_description: told }, { status: 400 });
    const refused = await startRun({ gateway: 'http://127.0.0.1:1', assertion, intent, fetch }).catch(String);
    expect(refused).toContain('answered invalid_grant: no: ...?[2Jxxx');
    expect(String(refused).length).toBeLessThan(400);
  });

  it('says so when no gateway answers', async () => {
    const gateway = 'http://127.0.0.1:1';
    await expect(startRun({ gateway, assertion: 'join-me', intent })).rejects.toMatchObject({
      code: 'ERR_REQUEST_REFUSED',
      message: expect.stringContaining('start the gateway'),
    });
  });

  it.each([
    ['a bearer token', { token_type: 'Bearer' }, /token_type is not DPoP/],
    ['no token', { access_token: '' }, /access_token is missing/],
    ['a token without an end', { expires_in: Number.NaN }, /expires_in/],
    ['a run that is none', { sallyport: { run: '../../admin' } }, /sallyport.run/],
  ])('refuses %s from the token endpoint', async (_, change, message) => {
    await using plane = await startFakeAgentPlane({ tokenAnswer: (answer) => ({ ...answer, ...change }) });
    await expect(startRun({ gateway: plane.url, assertion: 'join-me', intent })).rejects.toThrow(message);
  });
});

describe('the fetch of a run', () => {
  it('refuses every URL that is not under the gateway, before anything is sent', async () => {
    await using plane = await startFakeAgentPlane();
    await using thief = await listen();
    await using run = await startRun({ gateway: plane.url, assertion: 'join-me', intent });
    const { port } = new URL(plane.url);
    const others = [
      thief.url,
      `http://localhost:${port}/mcp/files`,
      `https://127.0.0.1:${port}/mcp/files`,
      `http://127.0.0.1:${port}@127.0.0.1:${new URL(thief.url).port}/mcp/files`,
      'data:text/plain,hello',
    ];
    for (const url of others) await expect(run.fetch(url), url).rejects.toThrow(TypeError);
    await expect(run.fetch(new Request(thief.url))).rejects.toThrow('is not under the gateway');
    expect(thief.hits).toEqual([]);
  });

  it('holds to the path of the gateway too, also against dot segments', async () => {
    const calls: string[] = [];
    const answer = { access_token: 't', token_type: 'DPoP', expires_in: 300 };
    const fetch: typeof globalThis.fetch = async (input) => {
      calls.push(String(input));
      return Response.json({ ...answer, sallyport: { run: '01JD0000000000000000000000' } });
    };
    const run = await startRun({ gateway: 'https://corp.example/agents/', assertion: 'a', intent, fetch });
    expect(run.mcpUrl('files')).toBe('https://corp.example/agents/mcp/files');
    await run.fetch('https://corp.example/agents/mcp/files');
    for (const path of [
      '/other',
      '/agents-evil/mcp',
      '/agents/../other',
      '/agents/%2e%2e/other',
      '/agents',
    ]) {
      await expect(run.fetch(`https://corp.example${path}`), path).rejects.toThrow(TypeError);
    }
    expect(calls).toEqual([
      'https://corp.example/agents/oauth/token',
      'https://corp.example/agents/mcp/files',
    ]);
  });

  it('follows no redirect, so a proof is never sent on', async () => {
    await using thief = await listen();
    await using plane = await startFakeAgentPlane({
      mcp: (_, response) => void response.writeHead(307, { location: thief.url }).end(),
    });
    await using run = await startRun({ gateway: plane.url, assertion: 'join-me', intent });
    const init = { method: 'POST', body: '{}', redirect: 'follow' } as const;
    await expect(run.fetch(run.mcpUrl('files'), init)).rejects.toThrow();
    expect(thief.hits).toEqual([]);
  });

  it.each(['127.0.0.1:8474', 'ftp://gateway', 'http://gateway/?x=1', 'http://user:pass@gateway', ''])(
    'does not take %j for a gateway',
    async (gateway) => {
      await expect(startRun({ gateway, assertion: 'a', intent })).rejects.toThrow(TypeError);
    },
  );
});

describe('renewal', () => {
  it('happens past half of the life, with the same key, once for many requests', async () => {
    let now = Date.now();
    const clock = () => now;
    await using plane = await startFakeAgentPlane({ now: clock, assertions: ['a1', 'a2', 'a3'] });
    let attested = 0;
    const assertion = async () => `a${++attested}`;
    await using run = await startRun({ gateway: plane.url, assertion, intent, now: clock });
    const url = run.mcpUrl('files');

    now += 149_000;
    await run.fetch(url);
    expect(attested).toBe(1);
    now += 2_000;
    await Promise.all(Array.from({ length: 8 }, () => run.fetch(url)));
    await expect.poll(() => plane.forms.length).toBe(2);
    expect(attested).toBe(2);
    now += 200_000; // the first token is over now, the second is not
    expect((await run.fetch(url)).status).toBe(200);
    expect(new Set(plane.mcpRequests.map((request) => request.headers['authorization'])).size).toBe(2);
  });

  it('is waited for when the token has run out', async () => {
    let now = Date.now();
    const clock = () => now;
    await using plane = await startFakeAgentPlane({ now: clock, assertions: ['a1', 'a2'] });
    let attested = 0;
    const assertion = async () => `a${++attested}`;
    await using run = await startRun({ gateway: plane.url, assertion, intent, now: clock });
    now += 301_000;
    const answers = await Promise.all([run.fetch(run.mcpUrl('files')), run.fetch(run.mcpUrl('files'))]);
    expect(answers.map((answer) => answer.status)).toEqual([200, 200]);
    expect(attested).toBe(2);
  });

  it('that fails leaves the good token in use, is paused, and is an error once the token has run out', async () => {
    let now = Date.now();
    const clock = () => now;
    await using plane = await startFakeAgentPlane({ now: clock });
    let attested = 0;
    const assertion = async () => {
      attested++;
      if (attested > 1) throw new Error('issuer is down');
      return 'join-me';
    };
    const run = await startRun({ gateway: plane.url, assertion, intent, now: clock });
    now += 200_000;
    for (let i = 0; i < 5; i++) expect((await run.fetch(run.mcpUrl('files'))).status).toBe(200);
    expect(attested).toBe(2);
    now += 60_000;
    expect((await run.fetch(run.mcpUrl('files'))).status).toBe(200);
    expect(attested).toBe(3);
    now += 60_000;
    await expect(run.fetch(run.mcpUrl('files'))).rejects.toThrow('issuer is down');
  });

  it('refuses a token for another run', async () => {
    let now = Date.now();
    const clock = () => now;
    let answers = 0;
    await using plane = await startFakeAgentPlane({
      now: clock,
      tokenAnswer: (answer) =>
        ++answers === 1 ? answer : { ...answer, sallyport: { run: '01JD0000000000000000000000' } },
    });
    const run = await startRun({ gateway: plane.url, assertion: async () => 'join-me', intent, now: clock });
    now += 301_000;
    await expect(run.fetch(run.mcpUrl('files'))).rejects.toThrow('another run');
  });

  it('does not happen for a one-time assertion: the gateway has the last word', async () => {
    let now = Date.now();
    const clock = () => now;
    await using plane = await startFakeAgentPlane({ now: clock });
    await using run = await startRun({ gateway: plane.url, assertion: 'join-me', intent, now: clock });
    now += 301_000;
    await run.fetch(run.mcpUrl('files'));
    expect(plane.forms).toHaveLength(1);
  });
});

describe('delegation', () => {
  it('hands a grant to a sub-agent, which redeems it with a key of its own', async () => {
    await using plane = await startFakeAgentPlane();
    await using parent = await startRun({ gateway: plane.url, assertion: 'join-me', intent });
    const narrower = { purpose: 'refund-desk', tools: ['ops-desk/get_invoice'], maxCalls: 3 };
    const grant = await parent.delegate(narrower);
    await using child = await startRun({ gateway: plane.url, assertion: grant, intent: narrower });

    expect(child.id).not.toBe(parent.id);
    expect((await child.fetch(child.mcpUrl('ops-desk'))).status).toBe(200);
    expect(plane.forms[1]).toMatchObject({
      subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      requested_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    });
    const twice = startRun({ gateway: plane.url, assertion: grant, intent: narrower });
    await expect(twice).rejects.toThrow('used by another key');
  });

  it('is refused once the run is over', async () => {
    await using plane = await startFakeAgentPlane();
    const run = await startRun({ gateway: plane.url, assertion: 'join-me', intent });
    await run.end();
    await expect(run.delegate(intent)).rejects.toThrow('invalid_token: the run is over');
  });
});

async function listen(): Promise<AsyncDisposable & { url: string; hits: string[] }> {
  const hits: string[] = [];
  const server = createServer((request, response) => {
    hits.push(request.url ?? '');
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  return { url, hits, [Symbol.asyncDispose]: async () => void server.close() };
}
