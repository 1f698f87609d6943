import { describe, expect, it } from 'vitest';
import { type AuthenticateDeps, authenticate } from '../../src/identity/index.ts';
import { createAgentKey } from '../support/agent-key.ts';
import { brokenRunStore, createTestAuthority, openTestRun, PUBLIC_URL } from '../support/authority.ts';

async function setup() {
  const authority = createTestAuthority();
  const key = createAgentKey(authority.clock.now);
  const { access_token: token } = await openTestRun(key, authority);
  const url = `${PUBLIC_URL}/mcp/desk`;
  const ask = (
    authorization: string | undefined,
    dpop: string | undefined,
    deps: AuthenticateDeps = authority.deps,
  ) =>
    authenticate(
      { authorization, dpop, method: 'POST', url, resources: authority.deps.urls.resources },
      deps,
    );
  return { authority, token, prove: () => key.prove({ url, token }), ask };
}

describe('T5: an error on the way to a caller', () => {
  it.each([
    undefined,
    '',
    ' ',
    'DPoP',
    'DPoP ',
    'DPoP null',
    'DPoP undefined',
    'anonymous',
    'Basic Og==',
    'DPoP a.b.c',
    'DPoP ..',
  ])('makes nobody a caller: authorization %j', async (authorization) => {
    const { ask, prove } = await setup();
    expect((await ask(authorization, prove())).ok).toBe(false);
  });

  it.each([undefined, '', 'null', '..', 'a.b.c', '{}'])('makes nobody a caller: proof %j', async (dpop) => {
    const { ask, token } = await setup();
    expect((await ask(`DPoP ${token}`, dpop)).ok).toBe(false);
  });

  it('is a failure of ours when the store fails, and no caller either', async () => {
    const { ask, token, prove, authority } = await setup();
    const failed = await ask(`DPoP ${token}`, prove(), { ...authority.deps, runs: brokenRunStore() });
    expect(failed).toMatchObject({ ok: false, error: { reason: 'store_unavailable' } });
    const throwing = {
      ...brokenRunStore(),
      admit: () => {
        throw new Error('at once');
      },
    };
    expect((await ask(`DPoP ${token}`, prove(), { ...authority.deps, runs: throwing })).ok).toBe(false);
    expect((await ask(`DPoP ${token}`, prove())).ok).toBe(true);
  });
});
