import { generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type OpenGateway, openGateway } from '../../src/cli/open-gateway.ts';
import type { AgentRun } from '../../src/client/index.ts';
import { createLogger, openOperatorKey, parseConfig, signOperatorToken } from '../../src/gateway/index.ts';
import { openSigningKeys } from '../../src/identity/index.ts';
import { createVerifier, receivedCall, type Verifier } from '../../src/verifier/index.ts';
import { answerIn, post, toolCall } from '../support/mcp-post.ts';
import { type LabSetting, openBareRun, prepareLab } from '../support/open-lab.ts';
import { readRecords } from '../support/open-ops-gateway.ts';
import { resultOf, sendJson, startWitness, type Witness } from '../support/witness.ts';

let witness: Witness;
let lab: LabSetting;
let gateway: OpenGateway;
let upstreamKey: KeyObject;
let verifier: Verifier;
const refused: string[] = [];

/** The whole lab, with keys that were made an hour ago: they may be rotated. */
beforeAll(async () => {
  witness = await startWitness();
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  upstreamKey = privateKey;
  const transport = { kind: 'http', url: witness.url };
  const jwks = { file: '' };
  const credential = { kind: 'call-token', audience: witness.url, introspection: { jwks } };
  lab = await prepareLab({
    upstreams: [
      { name: 'witness', transport, credential },
      { name: 'other', transport, credential: { kind: 'call-token', audience: `${witness.url}/other` } },
    ],
  });
  jwks.file = join(lab.folder, 'upstream.jwks.json');
  writeFileSync(
    jwks.file,
    JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), alg: 'ES256' }] }),
  );
  await openSigningKeys({ folder: lab.data, now: () => Date.now() - 3_600_000 });
  gateway = await openGateway(parseConfig(lab.config, 'lab'), { log: createLogger('silent') });
  verifier = createVerifier({
    issuer: lab.publicUrl,
    audience: witness.url,
    jwks: { url: `${lab.publicUrl}/.well-known/jwks.json` },
  });
  witness.answer = async ({ message, headers, caller }, response) => {
    const call = receivedCall('POST', message, headers);
    const verified = call.ok ? await verifier.verify(headers.authorization, call.value) : call;
    // What the gateway asks for itself comes for both upstreams, and `other` is not this server.
    const isToolCall = message['method'] === 'tools/call';
    if (isToolCall && !verified.ok) refused.push(JSON.stringify(verified.error));
    sendJson(response, { jsonrpc: '2.0', id: message['id'], result: resultOf(message, caller) });
  };
});
afterAll(async () => {
  await gateway[Symbol.asyncDispose]();
  lab[Symbol.dispose]();
  await witness[Symbol.asyncDispose]();
});

async function admin(path: string, method = 'GET'): Promise<Response> {
  const token = await signOperatorToken(await openOperatorKey(lab.data), lab.adminUrl, Date.now);
  return fetch(`${lab.adminUrl}${path}`, { method, headers: { authorization: `Bearer ${token}` } });
}

type Keys = { keys: { kid: string; state: string }[] };
const keyIn = async (state: string): Promise<string> =>
  ((await (await admin('/v1/keys')).json()) as Keys).keys.find((key) => key.state === state)?.kid ?? '';

async function isGood(run: AgentRun): Promise<boolean> {
  const answer = await post(run, toolCall('look'));
  return answer.status === 200 && (await answerIn(answer)).result?.['isError'] === undefined;
}

describe('signing keys under load', () => {
  it('are rotated and taken away while calls run, and no good call is refused', async () => {
    const runs = await Promise.all(Array.from({ length: 4 }, () => lab.startRun()));
    const tally = { calls: 0, bad: 0 };
    refused.splice(0);
    let isOver = false;
    const callers = runs.map(async (run) => {
      while (!isOver && tally.calls < 2000) {
        tally.calls++;
        if (!(await isGood(run))) tally.bad++;
      }
    });
    const before = await keyIn('active');
    const waitFor = async (calls: number): Promise<void> => {
      while (tally.calls < calls) await new Promise((resolve) => setTimeout(resolve, 5));
    };
    await waitFor(40);
    expect((await admin('/v1/keys/rotate', 'POST')).status).toBe(200);
    expect(await keyIn('active')).not.toBe(before);
    expect(await keyIn('retired')).toBe(before);
    await waitFor(tally.calls + 40);
    expect((await admin('/v1/keys/rotate', 'POST')).status).toBe(409); // the next is not known yet
    expect((await admin(`/v1/keys/${await keyIn('next')}/remove`, 'POST')).status).toBe(200);
    await waitFor(tally.calls + 40);
    isOver = true;
    await Promise.all(callers);
    expect(tally.bad).toBe(0);
    expect(refused).toEqual([]);
    expect(tally.calls).toBeGreaterThan(100);
    const changes = readRecords(lab.data).filter(({ type }) => type === 'key.change');
    expect(changes.map((record) => record.type === 'key.change' && record.change)).toEqual([
      'retired',
      'activated',
      'created',
      'removed',
      'created',
    ]);
    for (const run of runs) await run.end();
  });

  it('that were removed are refused at once, and a new run is not touched by it', async () => {
    const victim = await openBareRun(lab);
    const url = `${lab.publicUrl}/mcp/witness`;
    const call = async (): Promise<number> => {
      const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
      const body = JSON.stringify(toolCall('look'));
      return (await fetch(url, { method: 'POST', headers: { ...headers, ...victim.identify(url) }, body }))
        .status;
    };
    expect(await call()).toBe(200);
    expect((await admin(`/v1/keys/${await keyIn('active')}/remove`, 'POST')).status).toBe(200);
    expect(await call()).toBe(401);
    await using fresh = await lab.startRun();
    expect(await isGood(fresh)).toBe(true);
    expect((await admin('/v1/keys/nobody/remove', 'POST')).status).toBe(404);
  });

  it('are published as a SPIFFE bundle, too', async () => {
    const bundle = (await (await fetch(`${lab.publicUrl}/.well-known/spiffe/bundle.json`)).json()) as {
      keys: Record<string, unknown>[];
      spiffe_sequence: number;
      spiffe_refresh_hint: number;
    };
    const jwks = (await (await fetch(`${lab.publicUrl}/.well-known/jwks.json`)).json()) as Keys;
    expect(bundle.keys.map(({ kid }) => kid)).toEqual(jwks.keys.map(({ kid }) => kid));
    for (const key of bundle.keys) expect(key).toMatchObject({ use: 'jwt-svid', kty: 'EC', crv: 'P-256' });
    expect(JSON.stringify(bundle)).not.toContain('"d"');
    expect(bundle.spiffe_sequence).toBeGreaterThan(3);
  });
});

describe('introspection', () => {
  async function assertion(claims: Record<string, unknown> = {}, key = upstreamKey): Promise<string> {
    const iat = Math.floor(Date.now() / 1000);
    return new SignJWT({
      iss: 'witness',
      sub: 'witness',
      aud: lab.publicUrl,
      iat,
      exp: iat + 60,
      jti: randomUUID(),
      ...claims,
    })
      .setProtectedHeader({ alg: 'ES256' })
      .sign(key);
  }

  async function introspect(token: string, client_assertion: string) {
    const response = await fetch(`${lab.publicUrl}/oauth/introspect`, {
      method: 'POST',
      body: new URLSearchParams({
        token,
        client_assertion,
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      }),
    });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  }

  async function callTokenOf(run: AgentRun, upstream = 'witness'): Promise<string> {
    await post(run, toolCall('look'), { upstream });
    return witness.seen.at(-1)?.headers.authorization?.slice(7) ?? '';
  }

  it('says of a call token what it says, as long as its run lives', async () => {
    const run = await lab.startRun();
    const token = await callTokenOf(run);
    const answer = await introspect(token, await assertion());
    expect(answer).toMatchObject({ status: 200, body: { active: true, aud: witness.url, txn: run.id } });
    await run.end();
    expect((await introspect(token, await assertion())).body).toEqual({ active: false });
  });

  it('A21: says nothing of the tokens of others, of run tokens and of what is no token', async () => {
    await using run = await lab.startRun();
    const bare = await openBareRun(lab);
    for (const token of [await callTokenOf(run, 'other'), bare.token, 'x', 'a.b.c']) {
      expect((await introspect(token, await assertion())).body).toEqual({ active: false });
    }
  });

  it('A7: is for upstreams that prove who they are, to this gateway alone, and each time anew', async () => {
    await using run = await lab.startRun();
    const token = await callTokenOf(run);
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const once = await assertion();
    expect((await introspect(token, once)).status).toBe(200);
    const now = Math.floor(Date.now() / 1000);
    for (const bad of [
      once,
      '',
      token,
      await assertion({}, privateKey),
      await assertion({ aud: `${lab.publicUrl}/oauth/introspect` }),
      await assertion({ aud: [lab.publicUrl] }),
      await assertion({ iss: 'other', sub: 'other' }),
      await assertion({ sub: 'other' }),
      await assertion({ exp: now - 1 }),
      await assertion({ exp: now + 3600 }),
      await assertion({ jti: undefined }),
    ]) {
      expect(await introspect(token, bad)).toMatchObject({ status: 401, body: { error: 'invalid_client' } });
    }
  });
});
