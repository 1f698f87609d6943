import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AgentRun } from '../../src/client/index.ts';
import { post, toolCall } from '../support/mcp-post.ts';
import { type Lab, openLab } from '../support/open-lab.ts';
import { readRecords } from '../support/open-ops-gateway.ts';
import { type HttpServer, serveHttp } from '../support/serve-http.ts';
import { startWitness, type Witness } from '../support/witness.ts';

let witness: Witness;
let authority: HttpServer;
let lab: Lab;
let run: AgentRun;
let evil: string;
/** What reached the server the upstream wants the gateway to go to. */
const lured: string[] = [];
/** What the configured authorization server was asked. */
const asked: string[] = [];
const state = { moved: false };
const trap = createServer((request, response) => {
  lured.push(`${request.method} ${request.url}`);
  response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
});

beforeAll(async () => {
  await new Promise<void>((done) => trap.listen(0, '127.0.0.1', done));
  evil = `http://127.0.0.1:${(trap.address() as AddressInfo).port}`;
  witness = await startWitness();
  authority = await serveHttp((request, response) => {
    asked.push(request.url ?? '');
    const issuer = new URL(authority.url).origin;
    const json = (body: object): void =>
      void response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    if (state.moved) return void response.writeHead(307, { location: `${evil}/moved` }).end();
    if (request.url?.includes('/.well-known/')) {
      return json({ issuer, token_endpoint: `${issuer}/token`, revocation_endpoint: `${issuer}/revoke` });
    }
    return json({ access_token: `sk-${asked.length}`, token_type: 'Bearer', expires_in: 2 });
  });
  const credential = {
    kind: 'token-exchange',
    issuer: new URL(authority.url).origin,
    clientId: 'gateway',
  };
  lab = await openLab({
    upstreams: [{ name: 'witness', transport: { kind: 'http', url: witness.url }, credential }],
  });
  run = await lab.startRun();
});
afterAll(async () => {
  await lab[Symbol.asyncDispose]();
  await authority[Symbol.asyncDispose]();
  await witness[Symbol.asyncDispose]();
  trap.closeAllConnections();
  trap.close();
});

describe('A25: an upstream that wants the gateway to go elsewhere for a credential', () => {
  it('gets a token of the authorization server that the operator named', async () => {
    expect((await post(run, toolCall('look'))).status).toBe(200);
    expect(witness.seen.at(-1)?.headers.authorization).toMatch(/^Bearer sk-/);
  });

  it('cannot do it by a challenge, a redirect or a link, and the agent does not hear of it either', async () => {
    const challenge = `Bearer resource_metadata="${evil}/prm", authorization_uri="${evil}/as", error="invalid_token"`;
    for (const [status, headers] of [
      [401, { 'www-authenticate': challenge }],
      [403, { 'www-authenticate': challenge }],
      [307, { location: `${evil}/mcp` }],
      [401, { link: `<${evil}/as>; rel="oauth-authorization-server"` }],
    ] as const) {
      witness.answer = (_, response) => void response.writeHead(status, headers).end();
      const answer = await post(run, toolCall('look'));
      expect(answer.status).toBe(502);
      expect(answer.headers.get('www-authenticate')).toBeNull();
      expect(await answer.text()).not.toContain(evil);
    }
    witness.answer = undefined;
    expect(lured).toEqual([]);
  });

  it('gets nothing that the agent sent to prove itself', async () => {
    witness.seen.splice(0);
    const headers = {
      'txn-token': 'inbound-txn',
      'x-forwarded-authorization': 'inbound',
      cookie: 'a=inbound',
    };
    await post(run, toolCall('look'), { headers });
    const text = JSON.stringify(witness.seen.map(({ rawHeaders }) => rawHeaders));
    expect(text).not.toMatch(/dpop|inbound/i);
    expect(text.match(/authorization/gi)).toHaveLength(1);
  });

  it('cannot do it through the authorization server: one that redirects is not followed, and no call goes out', async () => {
    state.moved = true;
    await new Promise((resolve) => setTimeout(resolve, 1100)); // half the life of the token that is held
    const before = witness.seen.length;
    expect((await post(run, toolCall('look'))).status).toBe(502);
    expect(witness.seen.length).toBe(before);
    expect(lured).toEqual([]);
    const outcome = readRecords(lab.data).findLast(({ type }) => type === 'outcome');
    expect(outcome).toMatchObject({ detail: expect.stringContaining('no_credential') });
  });
});
