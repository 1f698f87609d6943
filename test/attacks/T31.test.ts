import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openOperatorKey, signOperatorToken } from '../../src/gateway/index.ts';
import { signJws } from '../support/agent-key.ts';
import { answerIn, LEGACY_HEADERS, post, toolCall } from '../support/mcp-post.ts';
import { type BareRun, type Lab, openBareRun, openLab } from '../support/open-lab.ts';
import { asUpstream, startWitness, type Witness } from '../support/witness.ts';

let witness: Witness;
let lab: Lab;
let run: BareRun;

beforeAll(async () => {
  witness = await startWitness();
  lab = await openLab({ upstreams: [asUpstream(witness)] });
  run = await openBareRun(lab);
});
afterAll(async () => {
  await lab[Symbol.asyncDispose]();
  await witness[Symbol.asyncDispose]();
});

const ROUTES: [string, string][] = [
  ['GET', '/v1/status'],
  ['GET', '/v1/runs'],
  ['POST', '/v1/runs/x/revoke'],
];

async function expectClosed(headers: Record<string, string>): Promise<void> {
  for (const [method, path] of ROUTES) {
    expect((await fetch(`${lab.adminUrl}${path}`, { method, headers })).status, `${method} ${path}`).toBe(
      401,
    );
  }
}

describe('T31: an agent that wants to the admin plane', () => {
  it('is not let in with its run token, by any scheme, with or without a proof', async () => {
    for (const scheme of ['Bearer', 'DPoP', 'Basic', 'bearer']) {
      const { dpop } = run.identify(`${lab.adminUrl}/v1/status`, 'GET');
      await expectClosed({ authorization: `${scheme} ${run.token}`, dpop });
    }
  });

  it('is not let in with a credential that was minted for a call', async () => {
    const headers = { ...LEGACY_HEADERS, ...run.identify(`${lab.publicUrl}/mcp/witness`) };
    await fetch(`${lab.publicUrl}/mcp/witness`, {
      method: 'POST',
      headers,
      body: JSON.stringify(toolCall('look')),
    });
    await expectClosed({ authorization: witness.seen.at(-1)?.headers.authorization ?? '' });
  });

  it('is not let in with tokens of its own making', async () => {
    const now = Math.floor(Date.now() / 1000);
    const claims = { iss: 'operator', sub: 'operator', aud: lab.adminUrl, iat: now, exp: now + 30, jti: 'x' };
    const forged = [
      signJws({ alg: 'ES256', typ: 'JWT' }, claims, run.key.privateKey),
      signJws({ alg: 'ES256', typ: 'JWT', jwk: run.key.jwk }, claims, run.key.privateKey),
      `${signJws({ alg: 'none' }, claims, run.key.privateKey).split('.').slice(0, 2).join('.')}.`,
      'null',
      '',
      'e30.e30.e30',
    ];
    for (const token of forged) await expectClosed({ authorization: `Bearer ${token}` });
  });

  it('finds nothing of it on its own listener, whatever the path looks like', async () => {
    const token = await signOperatorToken(await openOperatorKey(lab.data), lab.adminUrl, Date.now);
    const { hostname, port, host } = new URL(lab.publicUrl);
    const targets = [
      '/v1/status',
      '//v1/status',
      '/./v1/status',
      '/mcp/../v1/status',
      '/mcp/witness/../../v1/status',
      '/mcp/%2e%2e/v1/status',
      '/%76%31/status',
      '/mcp/witness%2f..%2f..%2fv1%2fstatus',
      `${lab.adminUrl}/v1/status`,
      '*',
    ];
    for (const target of targets) {
      const socket = connect(Number(port), hostname);
      let heard = '';
      socket.on('data', (chunk) => (heard += chunk.toString())).on('error', () => undefined);
      socket.write(
        `GET ${target} HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${token}\r\nConnection: close\r\n\r\n`,
      );
      await once(socket, 'close');
      expect(heard, target).toMatch(/^HTTP\/1\.1 4\d\d/);
      expect(heard, target).not.toMatch(/policyRevision|requestsInFlight/);
    }
  });

  it('cannot tunnel there', async () => {
    const { hostname, port } = new URL(lab.publicUrl);
    const socket = connect(Number(port), hostname);
    let heard = '';
    socket.on('data', (chunk) => (heard += chunk.toString())).on('error', () => undefined);
    const { host } = new URL(lab.adminUrl);
    socket.write(`CONNECT ${host} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    await once(socket, 'close');
    expect(heard).not.toMatch(/^HTTP\/1\.1 2/);
  });

  it('cannot end a run that is not its own, nor stop the gateway', async () => {
    await using other = await lab.startRun();
    const headers = { authorization: `Bearer ${run.token}`, 'content-type': 'application/json' };
    const revoke = `${lab.adminUrl}/v1/runs/${other.id}/revoke`;
    expect((await fetch(revoke, { method: 'POST', headers, body: '{"reason":"x"}' })).status).toBe(401);
    const url = `${lab.publicUrl}/oauth/revoke`;
    const dpop = run.key.prove({ url, token: run.token });
    await fetch(url, { method: 'POST', headers: { dpop }, body: new URLSearchParams({ token: other.id }) });
    expect((await answerIn(await post(other, toolCall('look')))).result).toBeDefined();
  });

  it('does not get in as the operator of the agent plane: an operator token is no run token', async () => {
    const token = await signOperatorToken(await openOperatorKey(lab.data), lab.adminUrl, Date.now);
    const url = `${lab.publicUrl}/mcp/witness`;
    for (const scheme of ['DPoP', 'Bearer']) {
      const headers = {
        ...LEGACY_HEADERS,
        authorization: `${scheme} ${token}`,
        dpop: run.key.prove({ url, token }),
      };
      const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(toolCall('look')) });
      expect(response.status).toBe(401);
    }
  });

  it('meets another listener that is on loopback unless the operator says otherwise', () => {
    expect(new URL(lab.adminUrl).port).not.toBe(new URL(lab.publicUrl).port);
    expect(new URL(lab.adminUrl).hostname).toBe('127.0.0.1');
  });
});
