import { createSecretKey, randomBytes } from 'node:crypto';
import {
  closeSync,
  fstatSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createKeySealer, createSecret, openSecret, readSecret } from '../../src/identity/index.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const SECRET = 'canary-of-a-private-key';

const newSealer = (source = 'kek') => createKeySealer({ key: createSecretKey(randomBytes(32)), source });

function setup() {
  const folder = temporaryFolder();
  const path = join(folder, 'key.pem');
  const sealer = newSealer();
  const file = { path, purpose: 'log key', sealer } as const;
  const plain = (text = SECRET): void => writeFileSync(path, text, { mode: 0o600 });
  const everything = (): string =>
    readdirSync(folder)
      .map((name) => readFileSync(join(folder, name), 'latin1'))
      .join('\n');
  return { folder, path, sealer, file, plain, everything };
}

describe('a secret in a file', () => {
  it('is made encrypted, for its owner alone, and reads back', () => {
    const { path, file, everything } = setup();
    expect(createSecret(file, SECRET)).toBe(true);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(everything()).not.toContain(SECRET);
    expect(readSecret(file)).toBe(SECRET);
  });

  it('that is there is not made again', () => {
    const { file, folder } = setup();
    createSecret(file, SECRET);
    expect(createSecret(file, 'another')).toBe(false);
    expect(readSecret(file)).toBe(SECRET);
    expect(readdirSync(folder)).toEqual(['key.pem']);
  });

  it('in the clear is encrypted in place, and its bytes on the disk are overwritten', () => {
    const { path, file, plain, folder, everything } = setup();
    plain();
    const old = openSync(path, 'r');
    expect(openSecret(file)).toBe(SECRET);
    expect(everything()).not.toContain(SECRET);
    expect(readdirSync(folder)).toEqual(['key.pem']);
    expect(fstatSync(old).nlink).toBe(0);
    expect(readFileSync(old, 'latin1')).toBe('\0'.repeat(SECRET.length));
    closeSync(old);
    expect(readSecret(file)).toBe(SECRET);
  });

  it('is only read by who only uses it: nothing is changed', () => {
    const { file, plain, everything } = setup();
    plain();
    expect(readSecret(file)).toBe(SECRET);
    expect(everything()).toBe(SECRET);
  });

  it('does not open under another key, without one, as another secret, or when it was changed', () => {
    const { path, file } = setup();
    createSecret(file, SECRET);
    const refused = (other: object): string => {
      try {
        openSecret({ ...file, ...other });
      } catch (error) {
        return String(error);
      }
      return 'opened';
    };
    expect(refused({ sealer: newSealer('/etc/other-kek') })).toContain('/etc/other-kek does not open them');
    expect(refused({ sealer: undefined })).toContain('is encrypted; name its key in keys.encryption');
    expect(refused({ purpose: 'operator key' })).toContain('does not open');
    const stored = JSON.parse(readFileSync(path, 'utf8')) as { sealed: { text: string } };
    stored.sealed.text = `${stored.sealed.text.startsWith('A') ? 'B' : 'A'}${stored.sealed.text.slice(1)}`;
    writeFileSync(path, JSON.stringify(stored));
    expect(refused({})).toContain('does not open');
    writeFileSync(path, JSON.stringify({ version: 2, sealed: { alg: 'none', text: SECRET } }));
    expect(refused({})).toMatch(/sealed in a way that is not known/);
    expect(refused({})).not.toContain(SECRET);
  });

  it('is not read through a link, or when others can reach it', () => {
    const { folder, path, file } = setup();
    const elsewhere = join(folder, 'elsewhere');
    writeFileSync(elsewhere, SECRET, { mode: 0o600 });
    symlinkSync(elsewhere, path);
    expect(() => openSecret(file)).toThrow('plain file');
    writeFileSync(join(folder, 'open.pem'), SECRET, { mode: 0o644 });
    expect(() => openSecret({ ...file, path: join(folder, 'open.pem') })).toThrow('chmod 600');
    expect(readFileSync(elsewhere, 'utf8')).toBe(SECRET);
  });
});

describe('a crash while a secret is encrypted', () => {
  it('before the encrypted file took its place loses nothing: the next start does it', () => {
    const { folder, path, file, plain, everything } = setup();
    plain();
    linkSync(path, join(folder, '.key.pem.plain'));
    writeFileSync(join(folder, '.key.pem.0123'), '{"version":2,"sea', { mode: 0o600 });
    expect(openSecret(file)).toBe(SECRET);
    expect(everything()).not.toContain(SECRET);
    expect(readdirSync(folder)).toEqual(['key.pem']);
    expect(readSecret(file)).toBe(SECRET);
  });

  it('after it leaves nothing in the clear behind: the next start overwrites it', () => {
    const { folder, path, file, everything } = setup();
    createSecret(file, SECRET);
    for (const left of ['.key.pem.plain', '.key.pem.89ab', 'key.pem.new']) {
      writeFileSync(join(folder, left), SECRET, { mode: 0o600 });
    }
    const old = openSync(join(folder, '.key.pem.plain'), 'r');
    expect(openSecret(file)).toBe(SECRET);
    expect(readFileSync(old, 'latin1')).not.toContain(SECRET);
    closeSync(old);
    expect(everything()).not.toContain(SECRET);
    expect(readdirSync(folder)).toEqual(['key.pem']);
    expect(readSecret({ ...file, path })).toBe(SECRET);
  });

  it('leaves files of other names alone', () => {
    const { folder, file } = setup();
    createSecret(file, SECRET);
    mkdirSync(join(folder, 'sub'));
    for (const other of ['.other.pem.plain', 'key.pem2', 'key.pem.backup']) {
      writeFileSync(join(folder, other), 'mine', { mode: 0o600 });
    }
    openSecret(file);
    expect(readFileSync(join(folder, 'key.pem.backup'), 'utf8')).toBe('mine');
    expect(readdirSync(folder)).toHaveLength(5);
  });

  it('does not overwrite anything when the secret does not open', () => {
    const { folder, file } = setup();
    createSecret(file, SECRET);
    const left = join(folder, '.key.pem.plain');
    writeFileSync(left, SECRET, { mode: 0o600 });
    expect(() => openSecret({ ...file, sealer: newSealer() })).toThrow('does not open');
    expect(readFileSync(left, 'utf8')).toBe(SECRET);
  });
});
