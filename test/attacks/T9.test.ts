import { describe, expect, it } from 'vitest';
import { createAgentKey } from '../support/agent-key.ts';
import { createTestAuthority, intentField, JWT_BEARER, requestToken } from '../support/authority.ts';
import { createTestIssuer } from '../support/issuer.ts';
import { jwtAttestor } from '../support/jwt-attestor.ts';
import { manualClock } from '../support/manual-clock.ts';

function setup() {
  const clock = manualClock();
  const issuer = createTestIssuer('https://ci.example.org', clock.now);
  const authority = createTestAuthority({ attestors: [jwtAttestor(issuer, clock)] }, clock);
  const open = (assertion: string, form: Record<string, string> = {}, key = createAgentKey(clock.now)) =>
    requestToken(
      {
        grant_type: JWT_BEARER,
        assertion,
        authorization_details: intentField({ purpose: 'triage' }),
        ...form,
      },
      key,
      authority,
    );
  return { clock, issuer, authority, open };
}

describe('T9: evidence that is forged or played back', () => {
  it('gives no identity: another root with the same names, a changed claim, a cut signature', async () => {
    const { clock, issuer, authority, open } = setup();
    const impostor = createTestIssuer(issuer.url, clock.now);
    const good = issuer.sign({ sub: 'job-7' });
    const [header = '', payload = '', signature = ''] = good.split('.');
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString());
    const changed = Buffer.from(JSON.stringify({ ...claims, exp: claims.exp + 1 })).toString('base64url');
    for (const forged of [
      impostor.sign({ sub: 'job-7' }),
      `${header}.${changed}.${signature}`,
      `${header}.${payload}.${signature.slice(0, -4)}`,
      `${header}.${payload}.`,
      `${header}.${payload}`,
      `${good}.${signature}`,
    ]) {
      expect((await open(forged)).ok, forged).toBe(false);
    }
    expect(authority.journal.entries).toEqual([]);
    expect((await open(good)).ok).toBe(true);
  });

  it('gives one identity once: played back it opens no second run, also for another agent', async () => {
    const { issuer, authority, open } = setup();
    const good = issuer.sign({ sub: 'job-7' });
    expect((await open(good)).ok).toBe(true);
    expect((await open(good)).ok).toBe(false);
    expect((await open(good, { client_id: 'clerk' })).ok).toBe(false);
    expect(await authority.deps.runs.live()).toHaveLength(1);
  });

  it('is in the run that it gave: attestor, issuer, deciding claims and digest, and no more', async () => {
    const { issuer, authority, open } = setup();
    await open(issuer.sign({ sub: 'job-7', email: 'robin@example.org' }));
    const [run] = await authority.deps.runs.live();
    expect(run?.evidence).toEqual({
      attestor: 'ci',
      digest: expect.stringMatching(/^[\w-]{43}$/),
      claims: { iss: issuer.url, sub: 'job-7' },
    });
  });
});
