import { randomBytes } from 'node:crypto';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  createKeySealer,
  createRunTokenVerifier,
  openSealingKeyFile,
  openSigningKeys,
} from '../../src/identity/index.ts';
import { manualClock } from '../support/manual-clock.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const MINUTES = 60;

async function setup() {
  const folder = temporaryFolder();
  const clock = manualClock();
  const open = () => openSigningKeys({ folder, now: clock.now });
  return { folder, clock, open, keys: await open() };
}

describe('the signing keys', () => {
  it('have the next key published before it is needed', async () => {
    const { keys } = await setup();
    expect(keys.list().map(({ state }) => state)).toEqual(['active', 'next']);
    expect(keys.jwks().keys.map(({ kid }) => kid)).toEqual(keys.list().map(({ kid }) => kid));
  });

  it('are not rotated to a key that not every verifier can know yet', async () => {
    const { keys, clock } = await setup();
    clock.advance(14 * MINUTES);
    expect(await keys.rotate()).toEqual({ ok: false, error: { reason: 'too_soon', waitSeconds: 60 } });
  });

  it('rotate: the next signs, the old one verifies until nothing of it is left, the change outlives a restart', async () => {
    const { keys, clock, open } = await setup();
    const [active, next] = keys.list();
    clock.advance(15 * MINUTES);
    expect(await keys.rotate()).toMatchObject({ ok: true });
    expect(keys.activeKid).toBe(next?.kid);
    expect(keys.sign('at+jwt', {}).split('.')[0]).toContain(
      Buffer.from(JSON.stringify({ alg: 'ES256', typ: 'at+jwt', kid: next?.kid })).toString('base64url'),
    );
    expect(keys.verificationKey(active?.kid ?? '')).toBeDefined();
    expect((await open()).list()).toEqual(keys.list());
    clock.advance(10 * MINUTES);
    expect(await keys.prune()).toEqual([]);
    clock.advance(1);
    expect(await keys.prune()).toEqual([{ kid: active?.kid, change: 'removed' }]);
    expect(keys.verificationKey(active?.kid ?? '')).toBeUndefined();
  });

  it('cannot be rotated twice in a row, nor by two operators at once', async () => {
    const { keys, clock } = await setup();
    clock.advance(15 * MINUTES);
    const both = await Promise.all([keys.rotate(), keys.rotate()]);
    expect(both.map(({ ok }) => ok)).toEqual([true, false]);
    expect(keys.list().filter(({ state }) => state === 'active')).toHaveLength(1);
  });

  it('let go of a stolen key at once, and sign on with one that verifiers know', async () => {
    const { keys, clock } = await setup();
    const [active, next] = keys.list();
    const tokens = createRunTokenVerifier({ keys, issuer: 'x', now: clock.now });
    const before = keys.sequence;
    expect(await keys.remove(active?.kid ?? '')).toMatchObject({ ok: true });
    expect(keys.activeKid).toBe(next?.kid);
    expect(keys.verificationKey(active?.kid ?? '')).toBeUndefined();
    expect(JSON.stringify(keys.jwks())).not.toContain(active?.kid);
    expect(keys.list().map(({ state }) => state)).toEqual(['active', 'next']);
    expect(keys.sequence).toBeGreaterThan(before);
    expect(tokens.verify('x', ['y']).ok).toBe(false);
  });

  it('can lose the next key or all of them one by one, and always sign with one that is there', async () => {
    const { keys } = await setup();
    expect(await keys.remove('nobody')).toEqual({ ok: false, error: { reason: 'unknown_key' } });
    for (let round = 0; round < 6; round++) {
      const [first, second] = keys.list();
      await keys.remove((round % 2 === 0 ? second : first)?.kid ?? '');
      const jws = keys.sign('t', {});
      expect(jws.split('.')).toHaveLength(3);
      expect(keys.verificationKey(keys.activeKid)).toBeDefined();
    }
  });
});

describe('keys at rest', () => {
  const sealerIn = async (folder: string, key = randomBytes(32).toString('base64')) => {
    const path = join(folder, 'kek');
    await writeFile(path, key, { mode: 0o600 });
    return createKeySealer(await openSealingKeyFile(path));
  };
  const stored = (folder: string) => readFile(join(folder, 'keys', 'signing-keys.json'), 'utf8');

  it('are encrypted under a key file, also those that were not before', async () => {
    const { folder, clock, keys } = await setup();
    expect(await stored(folder)).toContain('"d"');
    const sealer = await sealerIn(folder);
    const sealed = await openSigningKeys({ folder, now: clock.now, sealer });
    expect(sealed.list()).toEqual(keys.list());
    expect(await stored(folder)).not.toMatch(/"d"|"jwk"|"EC"/);
    clock.advance(15 * MINUTES);
    await sealed.rotate();
    expect(await stored(folder)).not.toMatch(/"d"|"jwk"|"EC"/);
    expect((await openSigningKeys({ folder, now: clock.now, sealer })).activeKid).toBe(sealed.activeKid);
  });

  it('do not open without their key, with another key, or when they were changed', async () => {
    const { folder, clock } = await setup();
    const sealer = await sealerIn(folder);
    await openSigningKeys({ folder, now: clock.now, sealer });
    const open = (other?: typeof sealer) => openSigningKeys({ folder, now: clock.now, sealer: other });
    await expect(open()).rejects.toMatchObject({ code: 'ERR_KEY_INVALID' });
    await expect(open(await sealerIn(folder))).rejects.toMatchObject({ code: 'ERR_KEY_INVALID' });
    const file = JSON.parse(await stored(folder)) as { sealed: { text: string } };
    file.sealed.text = `A${file.sealed.text.slice(1)}`;
    await writeFile(join(folder, 'keys', 'signing-keys.json'), JSON.stringify(file));
    await expect(open(sealer)).rejects.toMatchObject({ code: 'ERR_KEY_INVALID' });
  });

  it('want a key file that only its owner reads and that holds a whole key', async () => {
    const folder = temporaryFolder();
    await expect(sealerIn(folder, 'c2hvcnQ=')).rejects.toThrow('32 bytes');
    const path = join(folder, 'kek');
    await chmod(path, 0o644);
    await expect(openSealingKeyFile(path)).rejects.toThrow('chmod 600');
    await expect(openSealingKeyFile(`${path}x`)).rejects.toMatchObject({ code: 'ERR_KEY_INVALID' });
  });
});
