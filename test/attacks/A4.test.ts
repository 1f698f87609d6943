import { describe, expect, it } from 'vitest';
import { createTestIssuer } from '../support/issuer.ts';
import { jwtAttestor } from '../support/jwt-attestor.ts';
import { manualClock } from '../support/manual-clock.ts';

function setup() {
  const clock = manualClock();
  const issuer = createTestIssuer('https://ci.example.org', clock.now);
  const attestor = jwtAttestor(issuer, clock);
  return {
    clock,
    issuer,
    attest: (token = issuer.sign({ sub: 'job-7' })) => attestor.attest(token, undefined),
  };
}

describe('A4: an issuer that changes its keys', () => {
  it('is followed at once: a token by the new key is good half a minute after the last question', async () => {
    const { clock, issuer, attest } = setup();
    expect((await attest()).ok).toBe(true);
    issuer.rotate();
    clock.advance(30);
    expect((await attest()).ok).toBe(true);
  });

  it('has its old key refused as soon as the new ones were read, and within ten minutes in any case', async () => {
    const { clock, issuer, attest } = setup();
    await attest();
    const old = (seconds: number) => {
      const token = issuer.sign({ sub: 'job-7', exp: clock.seconds() + seconds + 900 });
      return token;
    };
    const byOldKey = old(600);
    issuer.rotate();
    clock.advance(30);
    await attest();
    expect((await attest(byOldKey)).ok).toBe(false);
  });

  it('is trusted for an hour while it does not answer, and then its tokens are not known to be bad', async () => {
    const { clock, issuer, attest } = setup();
    await attest();
    issuer.isDown = true;
    clock.advance(3600);
    expect((await attest()).ok).toBe(true);
    clock.advance(31);
    expect(await attest()).toMatchObject({ error: { reason: 'issuer_unavailable' } });
    issuer.isDown = false;
    clock.advance(30);
    expect((await attest()).ok).toBe(true);
  });

  it('keeps no key that it withdrew: an empty set makes every token bad', async () => {
    const { clock, issuer, attest } = setup();
    await attest();
    issuer.document = { keys: [] };
    clock.advance(601);
    expect(await attest()).toMatchObject({ error: { reason: 'invalid' } });
  });
});
