import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listKeys } from '../../src/cli/keys.ts';
import { openGateway } from '../../src/cli/open-gateway.ts';

import { createLogger, parseConfig } from '../../src/gateway/index.ts';
import { type LabSetting, prepareLab } from '../support/open-lab.ts';
import { asUpstream, startWitness, type Witness } from '../support/witness.ts';

let witness: Witness;
let lab: LabSetting;
let kek: string;
let configFile: string;

beforeAll(async () => {
  witness = await startWitness();
  lab = await prepareLab({ upstreams: [asUpstream(witness)] });
  kek = join(lab.folder, 'kek');
  configFile = join(lab.folder, 'sallyport.json');
  writeFileSync(kek, randomBytes(32).toString('base64'), { mode: 0o600 });
});
afterAll(async () => {
  lab[Symbol.dispose]();
  await witness[Symbol.asyncDispose]();
});

const open = (keys?: object) => {
  const config = keys === undefined ? lab.config : { ...lab.config, keys };
  writeFileSync(configFile, JSON.stringify(config));
  return openGateway(parseConfig(config, 'lab'), { log: createLogger('silent') });
};
const keyFiles = (): string[] =>
  readdirSync(join(lab.data, 'keys')).filter((name) => !name.startsWith('content-key-'));
const stored = (name: string): string => readFileSync(join(lab.data, 'keys', name), 'utf8');
const refusal = (keys?: object): Promise<string> =>
  open(keys).then(async (gateway) => {
    await gateway[Symbol.asyncDispose]();
    return 'opened';
  }, String);

/** What the command line says to `keys list`. */
async function listed(): Promise<string> {
  const lines: string[] = [];
  await listKeys({ config: configFile, out: (line) => void lines.push(line) });
  return lines.join('\n');
}

const NAMES = ['log-key.pem', 'operator.jwk', 'signing-keys.json'];

describe('the private keys of a gateway', () => {
  it('are encrypted in place when a key file is configured: all of them, and they stay the same', async () => {
    await (await open())[Symbol.asyncDispose]();
    const before = NAMES.map(stored);
    expect(before.join('\n')).toMatch(/BEGIN PRIVATE KEY[\s\S]*"d":/);
    const logKey = readFileSync(join(lab.data, 'log-public-key'), 'utf8');
    {
      await using gateway = await open({ encryption: { file: kek } });
      expect(keyFiles().sort()).toEqual(NAMES);
      for (const name of NAMES) expect(stored(name), name).not.toMatch(/PRIVATE KEY|"d"|"jwk"/);
      expect(gateway.adminUrl).toBe(lab.adminUrl);
      expect(await listed()).toContain('active'); // the command line opens the operator's key, too
    }
    expect(readFileSync(join(lab.data, 'log-public-key'), 'utf8')).toBe(logKey);
    await (await open({ encryption: { file: kek } }))[Symbol.asyncDispose]();
  });

  it('do not open without the key file, with another one, or with none: the gateway does not start', async () => {
    const other = join(lab.folder, 'other-kek');
    writeFileSync(other, randomBytes(32).toString('base64'), { mode: 0o600 });
    expect(await refusal()).toMatch(/log-key.pem: is encrypted; name its key in keys.encryption or keys.kms/);
    expect(await refusal({ encryption: { file: other } })).toMatch(/log-key.pem: .*other-kek does not open/);
    expect(await refusal({ encryption: { file: `${other}x` } })).toContain('cannot be opened');
    writeFileSync(configFile, JSON.stringify({ ...lab.config, keys: { encryption: { file: other } } }));
    await expect(listed()).rejects.toThrow(/operator.jwk: .*does not open/);
  });

  it('open by a KMS that unwraps the same key', async () => {
    const wrappedKey = join(lab.folder, 'kek.wrapped');
    writeFileSync(wrappedKey, readFileSync(kek, 'utf8').split('').reverse().join(''));
    const script = `let s = ''; process.stdin.on('data', (c) => { s += c; }).on('end', () => console.log(s.split('').reverse().join('')))`;
    const kms = { command: [process.execPath, '-e', script], wrappedKey };
    await using gateway = await open({ kms });
    expect(gateway.adminUrl).toBe(lab.adminUrl);
    expect(await listed()).toContain('active');
    expect(() => parseConfig({ ...lab.config, keys: { kms, encryption: { file: kek } } }, 'lab')).toThrow(
      'two ways to the same key',
    );
    const relative = { kms: { command: ['unwrap'], wrappedKey } };
    expect(() => parseConfig({ ...lab.config, keys: relative }, 'lab')).toThrow('absolute path');
  });

  it('are refused when the KMS fails, before anything listens', async () => {
    const kms = { command: [process.execPath, '-e', 'process.exitCode = 1'], wrappedKey: kek };
    expect(await refusal({ kms })).toContain('keys.kms.command: ended with exit code 1');
    await expect(fetch(`${lab.adminUrl}/healthz`)).rejects.toThrow();
  });
});
