import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { calculateJwkThumbprint, decodeProtectedHeader, exportJWK, generateKeyPair, jwtVerify } from 'jose';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { assertionFromFile, assertionFromKeyFile } from '../../src/connector/index.ts';

const claims = { issuer: 'https://ci.example', subject: 'job-7', audience: 'http://127.0.0.1:8474' };
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sallyport-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function writeKey(content: object | string, mode = 0o600): Promise<string> {
  const file = join(folder, 'key.json');
  await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content));
  await chmod(file, mode);
  return file;
}

describe('assertionFromKeyFile', () => {
  it('signs a new assertion of one minute each time', async () => {
    const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
    const file = await writeKey({ ...(await exportJWK(privateKey)), kid: 'k1' });
    const now = Date.parse('2026-11-22T10:00:00.900Z');
    const first = await assertionFromKeyFile(file, claims, () => now);
    const second = await assertionFromKeyFile(file, claims, () => now);
    const { payload, protectedHeader } = await jwtVerify(first, publicKey, {
      issuer: claims.issuer,
      audience: claims.audience,
      subject: claims.subject,
      currentDate: new Date(now),
    });
    expect(protectedHeader).toEqual({ alg: 'ES256', typ: 'JWT', kid: 'k1' });
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(60);
    const other = await jwtVerify(second, publicKey, { currentDate: new Date(now) });
    expect(other.payload.jti).not.toBe(payload.jti);
  });

  it('names a key without an id by its thumbprint', async () => {
    const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
    const assertion = await assertionFromKeyFile(await writeKey(await exportJWK(privateKey)), claims);
    const kid = await calculateJwkThumbprint(await exportJWK(publicKey));
    expect(decodeProtectedHeader(assertion).kid).toBe(kid);
  });

  it.each([0o640, 0o604, 0o660, 0o620, 0o601])('refuses a file of mode %o', async (mode) => {
    const { privateKey } = await generateKeyPair('ES256', { extractable: true });
    const file = await writeKey(await exportJWK(privateKey), mode);
    await expect(assertionFromKeyFile(file, claims)).rejects.toMatchObject({
      code: 'ERR_KEY_INVALID',
      message: expect.stringContaining('chmod 600'),
    });
  });

  it.each([
    ['no JSON', '-----BEGIN PRIVATE KEY----- canary', /is not a private key/],
    ['a public key', { kty: 'EC', crv: 'P-256', x: 'canary', y: 'canary' }, /is not a private key/],
    ['another curve', { kty: 'EC', crv: 'P-384', d: 'canary' }, /is not a private key/],
    [
      'numbers off the curve',
      { kty: 'EC', crv: 'P-256', x: 'canary', y: 'AA', d: 'AA' },
      /not a key on curve/,
    ],
  ])('refuses %s and does not repeat what the file holds', async (_, content, message) => {
    const file = await writeKey(content);
    const error: unknown = await assertionFromKeyFile(file, claims).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'ERR_KEY_INVALID', message: expect.stringMatching(message) });
    expect(String((error as Error).stack) + String((error as Error).cause)).not.toContain('canary');
  });

  it('says which file is missing', async () => {
    await expect(assertionFromKeyFile(join(folder, 'none'), claims)).rejects.toThrow(/none cannot be read/);
  });
});

describe('assertionFromFile', () => {
  it('reads the JWT that lies there now', async () => {
    const file = await writeKey('e30.e30.c2ln\n', 0o644);
    expect(await assertionFromFile(file)).toBe('e30.e30.c2ln');
    await writeKey('e30.e31.c2ln', 0o644);
    expect(await assertionFromFile(file)).toBe('e30.e31.c2ln');
  });

  it('refuses what is no JWT, and says nothing of what it is', async () => {
    for (const content of [
      '',
      'canary',
      'a.b',
      `${'a'.repeat(20_000)}.b.c`,
      'a.b.c d.e.f',
      '{"token":"canary"}',
    ]) {
      const failure = assertionFromFile(await writeKey(content));
      await expect(failure).rejects.toMatchObject({ code: 'ERR_KEY_INVALID' });
      await expect(failure).rejects.not.toThrow(/canary/);
    }
    await expect(assertionFromFile(join(folder, 'missing'))).rejects.toThrow('cannot be read');
  });
});
