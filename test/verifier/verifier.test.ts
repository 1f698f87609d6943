import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { createIdSource, digestJson, type JsonObject } from '../../src/base/index.ts';
import { type CallTokenRequest, mintCallToken, type SigningKeys } from '../../src/identity/index.ts';
import { createSigningKeys } from '../../src/identity/signing-keys.ts';
import {
  createReplayCache,
  createVerifier,
  type ReceivedCall,
  receivedCall,
  refusalToHttp,
  type VerifierOptions,
} from '../../src/verifier/index.ts';
import { aChildOf, aRun } from '../support/a-run.ts';
import { base64url, signJws } from '../support/agent-key.ts';
import { type ManualClock, manualClock } from '../support/manual-clock.ts';

const ISSUER = 'https://gateway.example.org';
const AUDIENCE = 'https://desk.example.org/mcp';
const called = (args: JsonObject, more: JsonObject = {}): ReceivedCall => ({
  method: 'tools/call',
  tool: 'close_ticket',
  asked: { name: 'close_ticket', arguments: args, ...more },
});
const CALL = called({ id: 7, note: 'done' });
const ids = createIdSource(Date.now);

function setup(options: Partial<VerifierOptions> = {}) {
  const clock = manualClock();
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const keys = createSigningKeys({
    active: 'k1',
    keys: [{ kid: 'k1', privateKey, createdAt: 0 }],
    sequence: 1,
  });
  const jwks = { keys: [...keys.jwks().keys] };
  const verifier = createVerifier({ issuer: ISSUER, audience: AUDIENCE, jwks, now: clock.now, ...options });
  const token = mint(keys, clock);
  const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as JsonObject;
  const header = { alg: 'ES256', typ: 'at+jwt', kid: 'k1' };
  const verify = (text: string, call = CALL) => verifier.verify(`Bearer ${text}`, call);
  return { clock, privateKey, keys, verifier, token, claims, header, verify };
}

function mint(keys: SigningKeys, clock: ManualClock, changes: Partial<CallTokenRequest> = {}): string {
  const root = aRun();
  const request: CallTokenRequest = {
    caller: { chain: [aChildOf(root), root], pop: 'dpop', tokenId: 't', proofId: 'p' },
    callId: ids.callId(),
    audience: AUDIENCE,
    method: 'tools/call',
    tool: 'close_ticket',
    argsDigest: digestJson({ arguments: { note: 'done', id: 7 }, name: 'close_ticket' }),
    decision: { policies: ['p1'], revision: 'r1' },
    intentLeaf: 'leaf',
    ...changes,
  };
  return mintCallToken(request, { keys, issuer: ISSUER, now: clock.now }).token;
}

const refusedAs = (reason: string) => ({ ok: false, error: { reason } });

describe('the verifier', () => {
  it('lets through the call that the token is for, and says who calls', async () => {
    const { token, verify, claims } = setup();
    expect(await verify(token)).toMatchObject({
      ok: true,
      value: {
        callId: claims['jti'],
        run: claims['sub'],
        agent: 'spiffe://agents.example.org/agent/ops-desk',
        chain: [claims['sub'], expect.stringContaining('/run/')],
        root: claims['txn'],
        method: 'tools/call',
        tool: 'close_ticket',
        decision: { policies: ['p1'], revision: 'r1' },
        intent: 'leaf',
      },
    });
  });

  it('lets through what is no tool call: methods, notifications, streams', async () => {
    const { keys, clock, verify } = setup();
    const { tool: _, ...plain } = { tool: undefined };
    for (const [method, params] of [
      ['resources/read', { uri: 'file:///a', _meta: { progressToken: 1 } }],
      ['notifications/initialized', {}],
    ] as const) {
      const received = receivedCall('POST', { jsonrpc: '2.0', method, params });
      const argsDigest = digestJson('uri' in params ? { uri: params.uri } : {});
      const token = mint(keys, clock, { ...plain, method, argsDigest, tool: undefined as never });
      expect(received.ok && (await verify(token, received.value))).toMatchObject({ ok: true });
    }
    const stream = mint(keys, clock, { method: 'GET', argsDigest: digestJson({}), tool: undefined as never });
    expect(await verify(stream, { method: 'GET' })).toMatchObject({ ok: true });
  });

  it('refuses to be made without issuer or audience', () => {
    expect(() => setup({ issuer: '' })).toThrow(TypeError);
    expect(() => setup({ audience: '' })).toThrow(TypeError);
  });
});

describe('A20: a call that is not the one that was decided on', () => {
  it.each<[string, ReceivedCall, string]>([
    ['another tool', { ...CALL, tool: 'delete_ticket' }, 'other_tool'],
    ['no tool', { method: 'tools/call', asked: CALL.asked ?? {} }, 'other_tool'],
    ['another method', { ...CALL, method: 'resources/read' }, 'other_method'],
    ['another value', called({ id: 8, note: 'done' }), 'other_arguments'],
    ['a number as text', called({ id: '7', note: 'done' }), 'other_arguments'],
    ['one argument more', called({ id: 7, note: 'done', force: true }), 'other_arguments'],
    ['one argument less', called({ id: 7 }), 'other_arguments'],
    ['another Unicode form', called({ id: 7, note: 'done\u0301' }), 'other_arguments'],
    ['no arguments', { method: 'tools/call', tool: 'close_ticket' }, 'other_arguments'],
    [
      'an answer put in',
      called({ id: 7, note: 'done' }, { inputResponses: { ok: true } }),
      'other_arguments',
    ],
    ['a state put in', called({ id: 7, note: 'done' }, { requestState: 'other' }), 'other_arguments'],
    ['made a task', called({ id: 7, note: 'done' }, { task: { ttl: 1 } }), 'other_arguments'],
  ])('is refused: %s', async (_what, call, reason) => {
    const { token, verify } = setup();
    expect(await verify(token, call)).toMatchObject(refusedAs(reason));
    expect(await verify(token)).toMatchObject({ ok: true }); // and has not used up the token
  });

  it('is not one whose arguments are only in another order', async () => {
    const { token, verify } = setup();
    expect(await verify(token, called({ note: 'done', id: 7.0 }))).toMatchObject({ ok: true });
  });

  it('is refused when it is another answer to a question of the server, or to another question', async () => {
    const { keys, clock, verify } = setup();
    const answer = { jsonrpc: '2.0', id: 3, result: { action: 'accept', content: { sure: true } } };
    const received = (body: JsonObject): ReceivedCall => {
      const call = receivedCall('POST', body);
      if (!call.ok) throw new Error(call.error);
      return call.value;
    };
    const given = received(answer);
    const argsDigest = digestJson(given.asked ?? {});
    const token = mint(keys, clock, { method: 'response', argsDigest, tool: undefined as never });
    for (const body of [
      { ...answer, id: 4 },
      { ...answer, result: { action: 'decline' } },
      { ...answer, error: { code: 1, message: 'x' } },
      { jsonrpc: '2.0', id: 3, error: { code: 1, message: 'x' } },
    ]) {
      expect(await verify(token, received(body))).toMatchObject(refusedAs('other_arguments'));
    }
    expect(await verify(token, given)).toMatchObject({ ok: true });
  });

  it('cannot be read where headers and body tell two stories', () => {
    const body = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'close_ticket' } };
    for (const headers of [
      { 'mcp-name': 'delete_ticket' },
      { 'mcp-name': ['close_ticket', 'close_ticket'] },
      { 'mcp-name': '=?base64?!!?=' },
      { 'mcp-method': 'tools/list' },
    ]) {
      expect(receivedCall('POST', body, headers).ok).toBe(false);
    }
    const encoded = `=?base64?${Buffer.from('close_ticket').toString('base64')}?=`;
    for (const name of ['close_ticket', encoded]) {
      const headers = { 'mcp-name': name, 'mcp-method': 'tools/call' };
      expect(receivedCall('POST', body, headers).ok).toBe(true);
    }
  });
});

describe('A8: a call token', () => {
  it('is good once', async () => {
    const { token, verify } = setup();
    expect(await verify(token)).toMatchObject({ ok: true });
    expect(await verify(token)).toMatchObject(refusedAs('replayed'));
  });

  it('is good for one of many requests at once', async () => {
    const { token, verify } = setup();
    const answers = await Promise.all(Array.from({ length: 20 }, () => verify(token)));
    expect(answers.filter(({ ok }) => ok)).toHaveLength(1);
  });

  it('is refused when it cannot be remembered: full is not empty', async () => {
    const clock = manualClock();
    const replay = createReplayCache({ now: clock.now, capacity: 2 });
    const { keys, verify } = setup({ replay });
    for (const expected of [{ ok: true }, { ok: true }, refusedAs('replay_cache_full')]) {
      expect(await verify(mint(keys, clock))).toMatchObject(expected);
    }
  });

  it('is refused when the shared replay cache fails', async () => {
    const remember = async (): Promise<never> => {
      throw new Error('down');
    };
    const { token, verify } = setup({ replay: { remember } });
    expect(await verify(token)).toMatchObject(refusedAs('replay_cache_full'));
  });

  it('is remembered as long as it could be used', async () => {
    const { clock, token, verify } = setup();
    await verify(token);
    for (let second = 0; second < 34; second++) {
      clock.advance(1);
      expect(await verify(token)).toMatchObject(refusedAs('replayed'));
    }
    clock.advance(1);
    expect(await verify(token)).toMatchObject(refusedAs('expired'));
  });
});

describe('A1, A6, A12: a forged call token', () => {
  it.each<[string, JsonObject, string]>([
    ['another issuer', { iss: `${ISSUER}/` }, 'wrong_issuer'],
    ['another audience', { aud: 'https://mail.example.org/mcp' }, 'wrong_audience'],
    ['an audience with a slash behind', { aud: `${AUDIENCE}/` }, 'wrong_audience'],
    ['several audiences', { aud: [AUDIENCE, 'https://mail.example.org/mcp'] }, 'wrong_audience'],
    ['an array of one audience', { aud: [AUDIENCE] }, 'wrong_audience'],
    ['a life of 61 s', { exp: 1_800_000_061 }, 'lives_too_long'],
    ['an exp as text', { exp: '1800000030' }, 'invalid_claims'],
    ['no exp', { exp: null }, 'invalid_claims'],
    ['an iat 6 s ahead', { iat: 1_800_000_006 }, 'not_yet_valid'],
    ['an exp 6 s ago', { iat: 1_799_999_980, exp: 1_799_999_994 }, 'expired'],
    ['a numeric jti', { jti: 5 }, 'invalid_claims'],
    ['no jti', { jti: '' }, 'invalid_claims'],
    ['no subject', { sub: '' }, 'invalid_claims'],
    [
      'a chain that starts elsewhere',
      { act: { sub: 'spiffe://agents.example.org/agent/x' } },
      'invalid_claims',
    ],
    ['no details', { authorization_details: [] }, 'invalid_claims'],
    ['two details', { authorization_details: [{}, {}] }, 'invalid_claims'],
    ['details of another type', { authorization_details: [{ type: 'payment' }] }, 'invalid_claims'],
  ])('is refused with %s', async (_what, change, reason) => {
    const { header, claims, privateKey, verify } = setup();
    expect(await verify(signJws(header, { ...claims, ...change }, privateKey))).toMatchObject(
      refusedAs(reason),
    );
  });

  it('is refused with a chain that has no end', async () => {
    const { header, claims, privateKey, verify } = setup();
    let act: JsonObject = { sub: 'x' };
    for (let link = 0; link < 20; link++) act = { sub: String(claims['sub']), act };
    expect(await verify(signJws(header, { ...claims, act }, privateKey))).toMatchObject(
      refusedAs('invalid_claims'),
    );
  });

  it.each<[string, JsonObject, string]>([
    ['alg none', { alg: 'none' }, 'wrong_type'],
    ['alg HS256', { alg: 'HS256' }, 'wrong_type'],
    ['the typ of a run grant', { typ: 'sallyport-grant+jwt' }, 'wrong_type'],
    ['the typ of a plain JWT', { typ: 'JWT' }, 'wrong_type'],
    ['no kid', { kid: null }, 'wrong_type'],
    ['an unknown kid', { kid: 'k2' }, 'bad_signature'],
    ['crit', { crit: ['x'], x: 1 }, 'malformed'],
  ])('is refused with %s', async (_what, change, reason) => {
    const { header, claims, privateKey, verify } = setup();
    expect(await verify(signJws({ ...header, ...change }, claims, privateKey))).toMatchObject(
      refusedAs(reason),
    );
  });

  it('is refused under any key but the gateway’s', async () => {
    const { header, claims, verify, token } = setup();
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    expect(await verify(signJws(header, claims, privateKey))).toMatchObject(refusedAs('bad_signature'));
    const [head, , signature] = token.split('.');
    const widened = base64url(JSON.stringify({ ...claims, aud: AUDIENCE, extra: 1 }));
    expect(await verify(`${head}.${widened}.${signature}`)).toMatchObject(refusedAs('bad_signature'));
  });

  it('is refused with duplicate keys, as garbage, and when it is too large', async () => {
    const { header, claims, privateKey, verify } = setup();
    const twice = JSON.stringify(claims).replace('{', `{"aud":"${AUDIENCE}",`);
    expect(await verify(signJws(header, twice, privateKey))).toMatchObject(refusedAs('malformed'));
    for (const text of ['a.b.c', 'x', '..', 'x'.repeat(9000)]) {
      expect(await verify(text)).toMatchObject(refusedAs('malformed'));
    }
  });

  it('is refused when it is missing or under another scheme', async () => {
    const { verifier, token } = setup();
    expect(await verifier.verify(undefined, CALL)).toMatchObject(refusedAs('missing_token'));
    for (const value of [`DPoP ${token}`, token, `Bearer ${token}, Bearer x`, 'Bearer ']) {
      expect(await verifier.verify(value, CALL)).toMatchObject(refusedAs('not_bearer'));
    }
  });
});

describe('the keys of the gateway', () => {
  it('are fetched from where they are published', async () => {
    const { keys } = setup();
    const server = createServer((_request, response) => {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(keys.jwks()));
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`;
    try {
      const clock = manualClock();
      const verifier = createVerifier({ issuer: ISSUER, audience: AUDIENCE, jwks: { url }, now: clock.now });
      expect(await verifier.verify(`Bearer ${mint(keys, clock)}`, CALL)).toMatchObject({ ok: true });
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });

  it('that cannot be fetched mean a refusal, and 503 rather than 401', async () => {
    const { token, clock } = setup();
    const jwks = { url: 'http://127.0.0.1:1/jwks' };
    const verifier = createVerifier({ issuer: ISSUER, audience: AUDIENCE, jwks, now: clock.now });
    const verified = await verifier.verify(`Bearer ${token}`, CALL);
    expect(verified).toMatchObject(refusedAs('keys_unavailable'));
    expect(!verified.ok && refusalToHttp(verified.error).status).toBe(503);
  });
});
