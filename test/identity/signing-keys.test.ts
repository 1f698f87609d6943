import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLocalJWKSet, jwtVerify } from 'jose';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openSigningKeys } from '../../src/identity/index.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sallyport-keys-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const open = () => openSigningKeys({ folder, now: Date.now });
const keyFile = () => join(folder, 'keys', 'signing-keys.json');

describe('signing keys', () => {
  it('are made at the first start and kept for the next', async () => {
    const first = await open();
    const second = await open();
    expect(second.activeKid).toBe(first.activeKid);
    expect(second.jwks()).toEqual(first.jwks());
    expect(await readdir(join(folder, 'keys'))).toEqual(['signing-keys.json']);
  });

  it('can be read by nobody else', async () => {
    await open();
    expect((await stat(join(folder, 'keys'))).mode & 0o777).toBe(0o700);
    expect((await stat(keyFile())).mode & 0o777).toBe(0o600);
  });

  it('are the same for processes that start together', async () => {
    const opened = await Promise.all(Array.from({ length: 8 }, open));
    expect(new Set(opened.map(({ activeKid }) => activeKid)).size).toBe(1);
  });

  it('sign what jose verifies by the published set', async () => {
    const keys = await open();
    const token = keys.sign('at+jwt', { iss: 'x', n: 1 });
    const { payload, protectedHeader } = await jwtVerify(
      token,
      createLocalJWKSet({ keys: [...keys.jwks().keys] }),
    );
    expect(payload).toEqual({ iss: 'x', n: 1 });
    expect(protectedHeader).toEqual({ alg: 'ES256', typ: 'at+jwt', kid: keys.activeKid });
  });

  it('publish no private half', async () => {
    const keys = await open();
    const { keys: stored } = JSON.parse(await readFile(keyFile(), 'utf8')) as {
      keys: { jwk: { d: string } }[];
    };
    expect(stored[0]?.jwk.d).toHaveLength(43);
    expect(JSON.stringify(keys.jwks())).not.toContain(stored[0]?.jwk.d);
    expect(Object.keys(keys.jwks().keys[0] ?? {}).sort()).toEqual([
      'alg',
      'crv',
      'kid',
      'kty',
      'use',
      'x',
      'y',
    ]);
  });

  it('do not verify by an id that is not theirs', async () => {
    const keys = await open();
    expect(keys.verificationKey('../signing-keys')).toBeUndefined();
    expect(keys.verificationKey('__proto__')).toBeUndefined();
  });
});

describe('a key file that is not as it must be', () => {
  it.each([0o644, 0o640, 0o604, 0o620])('is refused with mode %o, and says how to mend it', async (mode) => {
    await open();
    await chmod(keyFile(), mode);
    await expect(open()).rejects.toMatchObject({
      code: 'ERR_KEY_INVALID',
      message: expect.stringContaining('chmod 600'),
    });
  });

  it('is refused in a folder that others can enter', async () => {
    await open();
    await chmod(join(folder, 'keys'), 0o755);
    await expect(open()).rejects.toMatchObject({
      code: 'ERR_KEY_INVALID',
      message: expect.stringContaining('chmod 700'),
    });
  });

  it('is refused as a link to somewhere else', async () => {
    const other = join(folder, 'other.json');
    await writeFile(other, '{}', { mode: 0o600 });
    await mkdir(join(folder, 'keys'), { mode: 0o700 });
    await symlink(other, keyFile());
    await expect(open()).rejects.toMatchObject({ code: 'ERR_KEY_INVALID' });
  });

  it.each([
    ['empty', ''],
    ['not JSON', 'private'],
    ['of another version', '{"version":3,"active":"a","keys":[]}'],
    ['without keys', '{"version":1,"active":"a","keys":[]}'],
    [
      'with something that is no key',
      '{"version":1,"active":"a","keys":[{"jwk":{"kty":"EC","d":"c2VjcmV0"}}]}',
    ],
  ])('is refused when it is %s, without quoting it', async (_what, text) => {
    await open();
    await writeFile(keyFile(), text, { mode: 0o600 });
    const error = await open().catch((refusal: unknown) => refusal);
    expect(error).toMatchObject({ code: 'ERR_KEY_INVALID' });
    expect(String(error)).not.toContain('c2VjcmV0');
  });
});
