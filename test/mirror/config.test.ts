import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { mirrorConfigSchema, parseMirrorConfig } from '../../src/mirror/index.ts';
import { newSigner } from '../support/log-in-memory.ts';

const ORIGIN = 'agents.example.org/log';
const key = newSigner(ORIGIN).verifierKey;

const origin = {
  origin: ORIGIN,
  keys: [key],
  url: 'https://gateway.example.org:8475',
  access: { kind: 'bearer', token: { env: 'TOKEN' } },
};
const config = { origins: [origin], postgres: { url: 'postgres://mirror@db.example.org/logs' } };

describe('the configuration of a mirror', () => {
  it('has safe defaults', () => {
    expect(parseMirrorConfig(config, 'a test')).toMatchObject({
      pollMillis: 1000,
      postgres: { schema: 'sallyport' },
    });
  });

  it('takes plain http for a gateway on this machine only', () => {
    const at = (url: string) => () =>
      parseMirrorConfig({ ...config, origins: [{ ...origin, url }] }, 'a test');
    for (const url of ['http://127.0.0.1:8475', 'http://localhost:8475', 'http://[::1]:8475/'])
      expect(at(url)).not.toThrow();
    for (const url of [
      'http://gateway.example.org:8475',
      'http://127.0.0.1.example.org:8475',
      'http://localhost.example.org',
      'ftp://127.0.0.1',
      'https://user:pass@gateway.example.org',
      'https://gateway.example.org?token=x',
    ]) {
      expect(at(url), url).toThrow(/origins\[0\]\.url/);
    }
  });

  it.each([
    [
      'a password in the URL',
      { ...config, postgres: { url: 'postgres://mirror:secret@db/logs' } },
      'postgres',
    ],
    [
      'settings in the URL',
      { ...config, postgres: { url: 'postgres://m@db/logs?sslmode=disable' } },
      'postgres',
    ],
    [
      'a schema that is no word',
      { ...config, postgres: { ...config.postgres, schema: 'a; DROP' } },
      'schema',
    ],
    ['no key', { ...config, origins: [{ ...origin, keys: [] }] }, 'keys'],
    ['a key of another log', { ...config, origins: [{ ...origin, origin: 'other/log' }] }, 'another origin'],
    ['a log twice', { ...config, origins: [origin, origin] }, 'twice'],
    [
      'a secret in the file',
      { ...config, origins: [{ ...origin, access: { kind: 'bearer', token: 'x' } }] },
      'access',
    ],
    ['a field that is none', { ...config, pol: 1 }, 'pol'],
  ])('refuses %s', (_what, value, problem) => {
    expect(() => parseMirrorConfig(value, 'a test')).toThrow(problem);
    expect(() => parseMirrorConfig(value, 'a test')).not.toThrow('secret@');
  });

  it('is described by the JSON schema that editors use (else run "npm run schema")', async () => {
    const file = join(import.meta.dirname, '../../schema/mirror.schema.json');
    const written = JSON.parse(await readFile(file, 'utf8')) as unknown;
    expect(written).toEqual(JSON.parse(JSON.stringify(mirrorConfigSchema())));
  });
});
