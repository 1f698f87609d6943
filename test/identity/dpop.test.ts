import fc from 'fast-check';
import { calculateJwkThumbprint, EmbeddedJWK, jwtVerify } from 'jose';
import { describe, expect, it } from 'vitest';
import { createProofVerifier } from '../../src/identity/index.ts';
import { createAgentKey } from '../support/agent-key.ts';
import { manualClock } from '../support/manual-clock.ts';

const url = 'https://gateway.example.org/mcp/desk';
const clock = manualClock();
const key = createAgentKey(clock.now);

function isGood(proof: string): boolean {
  const verifier = createProofVerifier(clock.now);
  const inspected = verifier.inspect(proof, { method: 'POST', url, token: 'token' });
  return inspected.ok && verifier.hasValidSignature(inspected.value, 'unknown');
}

/** The same proof in the eyes of jose, which does not know `htm`, `htu`, `ath`. */
async function isGoodForJose(proof: string): Promise<boolean> {
  try {
    await jwtVerify(proof, EmbeddedJWK, {
      typ: 'dpop+jwt',
      algorithms: ['ES256'],
      maxTokenAge: 60,
      clockTolerance: 60,
      requiredClaims: ['jti', 'htm', 'htu'],
      currentDate: new Date(clock.now()),
    });
    return true;
  } catch {
    return false;
  }
}

describe('a DPoP proof, compared with jose', () => {
  it('is good for both when nothing is wrong with it', async () => {
    const proof = key.prove({ url, token: 'token' });
    expect(isGood(proof)).toBe(true);
    expect(await isGoodForJose(proof)).toBe(true);
  });

  it('has the thumbprint that jose computes', async () => {
    const inspected = createProofVerifier(clock.now).inspect(key.prove({ url }), { method: 'POST', url });
    expect(inspected.ok && inspected.value.thumbprint).toBe(await calculateJwkThumbprint(key.jwk));
  });

  it('is never good for us where jose refuses it, whatever character is changed, dropped or added', async () => {
    const proof = key.prove({ url, token: 'token' });
    const character = fc.constantFrom(...'ABCDEFwxyz0189-_.=+/ ,', '\n');
    const mutation = fc.record({
      at: fc.nat(proof.length - 1),
      drop: fc.nat(2),
      insert: fc.array(character, { maxLength: 2 }),
    });
    await fc.assert(
      fc.asyncProperty(mutation, async ({ at, drop, insert }) => {
        const mutated = proof.slice(0, at) + insert.join('') + proof.slice(at + drop);
        expect(isGood(mutated)).toBe(mutated === proof);
        if (isGood(mutated)) expect(await isGoodForJose(mutated)).toBe(true);
      }),
      { numRuns: 400 },
    );
  });

  it('is never good for us where jose refuses its header or claims', async () => {
    const odd = fc.oneof(
      fc.constantFrom(
        undefined,
        null,
        '',
        0,
        1.5,
        true,
        [],
        {},
        'ES256',
        'none',
        'dpop+jwt',
        'JWT',
        'POST',
        url,
      ),
      fc.integer({ min: clock.seconds() - 200, max: clock.seconds() + 200 }),
      fc.constantFrom<object>(
        { kty: 'EC' },
        { ...key.jwk, d: 'AA' },
        { ...key.jwk, use: 'enc' },
        { ...key.jwk, alg: 'ES384' },
        { ...key.jwk, y: key.jwk.x },
        { kty: 'oct', k: 'AA' },
      ),
    );
    const header = fc.dictionary(fc.constantFrom('typ', 'alg', 'jwk', 'crit', 'b64', 'kid'), odd, {
      maxKeys: 2,
    });
    const claims = fc.dictionary(fc.constantFrom('iat', 'exp', 'nbf', 'jti', 'htm', 'htu'), odd, {
      maxKeys: 2,
    });
    let good = 0;
    await fc.assert(
      fc.asyncProperty(header, claims, async (headerChange, claimsChange) => {
        const proof = key.prove({
          url,
          token: 'token',
          header: headerChange as never,
          claims: claimsChange as never,
        });
        if (!isGood(proof)) return;
        good++;
        expect(await isGoodForJose(proof)).toBe(true);
      }),
      { numRuns: 1000 },
    );
    expect(good).toBeGreaterThan(0);
  });
});

describe('the keys that are remembered', () => {
  it('verify the next proof of the same caller and no other', () => {
    const verifier = createProofVerifier(clock.now);
    const target = { method: 'POST', url };
    const thief = createAgentKey(clock.now);
    for (const known of [key, key, thief, key]) {
      const inspected = verifier.inspect(known.prove({ url }), target);
      expect(inspected).toMatchObject({ ok: true, value: { thumbprint: known.thumbprint } });
      expect(inspected.ok && verifier.hasValidSignature(inspected.value, 'known')).toBe(true);
    }
  });

  it('are bounded in number', () => {
    const verifier = createProofVerifier(clock.now);
    const proofs = Array.from({ length: 4100 }, (_, index) =>
      key.prove({ url, header: { kid: `${index}` } }),
    );
    for (const proof of proofs) {
      const inspected = verifier.inspect(proof, { method: 'POST', url });
      expect(inspected.ok && verifier.hasValidSignature(inspected.value, 'known')).toBe(true);
    }
  });
});
