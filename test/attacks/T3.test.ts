import { afterAll, beforeAll, describe, expect, it } from 'vitest';
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

describe('T3: a confused deputy', () => {
  it('has nothing to work with: no registration, no login, no redirect, no consent', async () => {
    const metadata = await (await fetch(`${lab.publicUrl}/.well-known/oauth-authorization-server`)).json();
    for (const member of [
      'registration_endpoint',
      'client_id_metadata_document_supported',
      'device_authorization_endpoint',
    ]) {
      expect(metadata).not.toHaveProperty(member);
    }
    expect(metadata).toMatchObject({ response_types_supported: [], issuer: lab.publicUrl });
    for (const path of ['/oauth/register', '/register', '/oauth/callback', '/oauth/device']) {
      expect((await fetch(`${lab.publicUrl}${path}`, { method: 'POST' })).status).toBe(404);
    }
  });

  it('is sent nowhere by the authorization endpoint, whatever it asks for', async () => {
    const evil = 'https://evil.example.org/cb';
    const query = new URLSearchParams({
      response_type: 'code',
      client_id: 'x',
      redirect_uri: evil,
      state: 's"><script>',
    });
    const answer = await fetch(`${lab.publicUrl}/oauth/authorize?${query}`, { redirect: 'manual' });
    expect(answer.status).toBe(400);
    expect(answer.headers.get('location')).toBeNull();
    const text = await answer.text();
    expect(text).not.toContain('evil');
    expect(text).not.toContain('<script');
  });

  it.each([
    'authorization_code',
    'refresh_token',
    'password',
    'implicit',
    'urn:ietf:params:oauth:grant-type:device_code',
  ])('gets no token by %s', async (grant_type) => {
    const url = `${lab.publicUrl}/oauth/token`;
    const body = new URLSearchParams({
      grant_type,
      code: 'x',
      refresh_token: run.token,
      redirect_uri: 'https://evil.example.org',
    });
    const answer = await fetch(url, { method: 'POST', headers: { dpop: run.key.prove({ url }) }, body });
    expect(await answer.json()).toMatchObject({ error: 'unsupported_grant_type' });
  });
});
