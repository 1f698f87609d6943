import { generateKeyPairSync, sign, verify } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromDer, toDer } from '../../src/identity/ecdsa-signature.ts';

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });

describe('ES256 signature encodings', () => {
  it('are the same signature to OpenSSL, both ways', () => {
    for (let i = 0; i < 300; i++) {
      const data = Buffer.from(`message ${i}`);
      const raw = sign('sha256', data, { key: privateKey, dsaEncoding: 'ieee-p1363' });
      expect(verify('sha256', data, publicKey, toDer(raw))).toBe(true);
      const der = sign('sha256', data, privateKey);
      expect(verify('sha256', data, { key: publicKey, dsaEncoding: 'ieee-p1363' }, fromDer(der))).toBe(true);
    }
  });

  it('convert back to the same bytes, leading zeros and high bits included', () => {
    const coordinate = fc
      .uint8Array({ minLength: 32, maxLength: 32 })
      .chain((bytes) => fc.integer({ min: 0, max: 32 }).map((zeros) => bytes.fill(0, 0, zeros)));
    fc.assert(
      fc.property(coordinate, coordinate, (r, s) => {
        const raw = Buffer.concat([r, s]);
        expect(fromDer(toDer(raw)).equals(raw)).toBe(true);
      }),
    );
  });

  it('never turn a signature that is not good into one that is', () => {
    const data = Buffer.from('message');
    const raw = sign('sha256', data, { key: privateKey, dsaEncoding: 'ieee-p1363' });
    fc.assert(
      fc.property(fc.nat(63), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const bad = Buffer.from(raw);
        bad[at] = (bad[at] ?? 0) ^ flip;
        expect(verify('sha256', data, publicKey, toDer(bad))).toBe(false);
      }),
    );
    expect(verify('sha256', data, publicKey, toDer(Buffer.alloc(64)))).toBe(false);
  });
});
