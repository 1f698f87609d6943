import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { authenticate } from '../../src/identity/index.ts';
import { createAgentKey } from '../support/agent-key.ts';
import { createTestAuthority, openTestRun, PUBLIC_URL } from '../support/authority.ts';
import { answerIn, LEGACY_HEADERS, toolCall } from '../support/mcp-post.ts';
import { type BareRun, type Lab, openBareRun, openLab } from '../support/open-lab.ts';
import { asUpstream, startWitness, type Witness } from '../support/witness.ts';
import { aWorkload } from '../support/x509-workload.ts';

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

const send = (headers: Record<string, string>, path = '/mcp/witness') =>
  fetch(`${lab.publicUrl}${path}`, {
    method: 'POST',
    headers: { ...LEGACY_HEADERS, ...headers },
    body: JSON.stringify(toolCall('echo')),
  });

describe('A10: a bound token that is sent as a bearer token', () => {
  it.each(['Bearer', 'bearer', 'BEARER'])(
    'is refused under %s, with and without its proof',
    async (scheme) => {
      const { dpop } = run.identify(`${lab.publicUrl}/mcp/witness`);
      for (const extra of [{}, { dpop }]) {
        const answer = await send({ authorization: `${scheme} ${run.token}`, ...extra });
        expect(answer.status).toBe(401);
        expect(answer.headers.get('www-authenticate')).toMatch(/^DPoP /);
      }
    },
  );

  it('is refused when the proof is left out, and wherever else it is put', async () => {
    const { authorization } = run.identify(`${lab.publicUrl}/mcp/witness`);
    expect((await send({ authorization })).status).toBe(401);
    expect((await send({}, `/mcp/witness?access_token=${run.token}`)).status).toBe(401);
    expect((await send({ cookie: `access_token=${run.token}`, 'x-access-token': run.token })).status).toBe(
      401,
    );
    const good = run.identify(`${lab.publicUrl}/mcp/witness`);
    expect((await answerIn(await send(good))).result).toBeDefined();
  });

  it('is refused over a connection with a certificate, as a certificate-bound one is without its connection', async () => {
    const authority = createTestAuthority();
    const key = createAgentKey(authority.clock.now);
    const { access_token: token } = await openTestRun(key, authority);
    const { deps, clock } = authority;
    const certificate = aWorkload(clock.seconds());
    const url = `${PUBLIC_URL}/mcp/desk`;
    const request = { method: 'POST', url, resources: deps.urls.resources };
    const bearer = { ...request, authorization: `Bearer ${token}`, dpop: undefined };
    expect(await authenticate({ ...bearer, certificate }, deps)).toMatchObject({
      error: { reason: 'bearer_refused' },
    });
    const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
    const bound = authority.keys.sign('at+jwt', { ...claims, cnf: { 'x5t#S256': key.thumbprint } });
    const proof = { authorization: `DPoP ${bound}`, dpop: key.prove({ url, token: bound }) };
    expect(await authenticate({ ...request, ...proof }, deps)).toMatchObject({
      error: { reason: 'key_mismatch' },
    });
    expect(
      (await authenticate({ ...request, authorization: `Bearer ${bound}`, dpop: undefined }, deps)).ok,
    ).toBe(false);
    const mine = { ...certificate, thumbprint: key.thumbprint };
    const connected = { ...request, authorization: `Bearer ${bound}`, dpop: undefined };
    expect(await authenticate({ ...connected, certificate: mine }, deps)).toMatchObject({
      value: { caller: { pop: 'mtls' } },
    });
    expect((await authenticate({ ...connected, certificate }, deps)).ok).toBe(false);
    const over = { ...mine, notAfter: clock.seconds() };
    expect((await authenticate({ ...connected, certificate: over }, deps)).ok).toBe(false);
  });
});
