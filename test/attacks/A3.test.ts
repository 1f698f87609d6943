import { describe, expect, it } from 'vitest';
import { createTestIssuer } from '../support/issuer.ts';
import { jwtAttestor } from '../support/jwt-attestor.ts';
import { manualClock } from '../support/manual-clock.ts';

function setup() {
  const clock = manualClock();
  const issuer = createTestIssuer('https://ci.example.org', clock.now);
  return { clock, issuer, attestor: jwtAttestor(issuer, clock) };
}

describe('A3: a flood of key ids', () => {
  it('makes the gateway ask the issuer once in 30 seconds at most, and shuts nobody out', async () => {
    const { clock, issuer, attestor } = setup();
    const good = () => attestor.attest(issuer.sign({ sub: 'job-7' }), undefined);
    expect((await good()).ok).toBe(true);
    for (let second = 0; second < 120; second++) {
      const flood = Array.from({ length: 10 }, (_, i) =>
        attestor.attest(issuer.sign({ sub: 'job-7' }, { kid: `x-${second}-${i}` }), undefined),
      );
      for (const answer of await Promise.all(flood)) expect(answer.ok).toBe(false);
      clock.advance(1);
    }
    expect(issuer.asked).toBeLessThanOrEqual(5);
    expect((await good()).ok).toBe(true);
  });

  it('does not ask again for the same unknown id within a minute', async () => {
    const { clock, issuer, attestor } = setup();
    await attestor.attest(issuer.sign({ sub: 'job-7' }), undefined);
    clock.advance(31);
    for (let i = 0; i < 25; i++) {
      await attestor.attest(issuer.sign({ sub: 'job-7' }, { kid: 'gone' }), undefined);
      clock.advance(1);
    }
    expect(issuer.asked).toBe(2);
    clock.advance(10);
    await attestor.attest(issuer.sign({ sub: 'job-7' }, { kid: 'gone' }), undefined);
    expect(issuer.asked).toBe(2);
  });

  it.each(['../../etc/passwd', '__proto__', 'constructor', 'https://evil.example.org/k', '', '\u0000'])(
    'looks no key up by an id that is something else: %j',
    async (kid) => {
      const { issuer, attestor } = setup();
      expect((await attestor.attest(issuer.sign({ sub: 'job-7' }, { kid }), undefined)).ok).toBe(false);
    },
  );
});
