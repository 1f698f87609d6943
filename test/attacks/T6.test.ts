import { generateKeyPairSync } from 'node:crypto';
import { chmod, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/index.ts';
import { openOperatorKey } from '../../src/gateway/index.ts';
import { openSigningKeys } from '../../src/identity/index.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

describe('T6: a key that others know', () => {
  it('is never there at first start: every gateway makes its own, for its user alone', async () => {
    const [one, other] = [temporaryFolder(), temporaryFolder()];
    const keys = [
      await openSigningKeys({ folder: one, now: systemClock }),
      await openSigningKeys({ folder: other, now: systemClock }),
    ];
    const published = keys.map((each) => JSON.stringify(each.jwks()));
    expect(published[0]).not.toBe(published[1]);
    expect(JSON.stringify(await openOperatorKey(one))).not.toBe(JSON.stringify(await openOperatorKey(other)));
    for (const file of await readdir(join(one, 'keys'))) {
      expect((await stat(join(one, 'keys', file))).mode & 0o077, file).toBe(0);
    }
  });

  it('is refused at start when others can read it', async () => {
    const folder = temporaryFolder();
    await openOperatorKey(folder);
    await chmod(join(folder, 'keys', 'operator.jwk'), 0o644);
    await expect(openOperatorKey(folder)).rejects.toThrow('others can reach it');
  });

  it('is refused at start when it is short, symmetric, of another kind, or no key', async () => {
    const folder = temporaryFolder();
    await openOperatorKey(folder);
    const file = join(folder, 'keys', 'operator.jwk');
    const rsa = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey.export({ format: 'jwk' });
    const p521 = generateKeyPairSync('ec', { namedCurve: 'P-521' }).privateKey.export({ format: 'jwk' });
    const half = { ...JSON.parse(await readFile(file, 'utf8')), d: undefined };
    for (const bad of [{ kty: 'oct', k: 'c2VjcmV0' }, rsa, p521, half, 'changeme', {}]) {
      await writeFile(file, JSON.stringify(bad), { mode: 0o600 });
      await expect(openOperatorKey(folder)).rejects.toThrow('private P-256');
    }
  });
});
