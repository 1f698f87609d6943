import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createKeySealer, openSealingKeyByCommand } from '../../src/identity/index.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const KEY = randomBytes(32).toString('base64');
const NODE = process.execPath;
const wrap = (key: string): string => key.split('').reverse().join('');
const UNWRAP = `
  let wrapped = '';
  process.stdin.on('data', (chunk) => { wrapped += chunk; });
  process.stdin.on('end', () => console.log(wrapped.split('').reverse().join('')));
`;

function setup(script: string, more: { folder?: string; timeoutMs?: number } = {}) {
  const folder = more.folder ?? temporaryFolder();
  const wrappedKey = join(folder, 'kek.wrapped');
  writeFileSync(wrappedKey, wrap(KEY));
  const { timeoutMs = 10_000 } = more;
  const kms = { command: [NODE, '-e', script], wrappedKey, timeoutMs, environment: {} };
  return { folder, kms, open: () => openSealingKeyByCommand(kms) };
}

const refusal = async (opening: Promise<unknown>): Promise<string> => {
  const error = await opening.then(() => 'opened', String);
  expect(error).not.toContain(KEY);
  expect(error).not.toContain(wrap(KEY));
  return error;
};

describe('a KMS behind a command', () => {
  it('unwraps the key that seals', async () => {
    const { open } = setup(UNWRAP);
    const [one, other] = [createKeySealer(await open()), createKeySealer(await open())];
    expect(other.open(one.seal('text', 'log key'), 'log key')).toBe('text');
  });

  it('may have spaces, quotes and other words of shells in its path and arguments', async () => {
    const folder = join(temporaryFolder(), "it's a $(touch pwned) `folder`; rm -rf");
    mkdirSync(folder);
    const script = join(folder, 'un wrap "key".cjs');
    writeFileSync(script, `${UNWRAP}\nif (process.argv[2] !== '$HOME; exit 3 *') process.exit(9);`);
    const { kms } = setup('', { folder });
    const { source } = await openSealingKeyByCommand({ ...kms, command: [NODE, script, '$HOME; exit 3 *'] });
    expect(source).toBe('the key of keys.kms');
    expect(existsSync('pwned') || existsSync(join(folder, 'pwned'))).toBe(false);
  });

  it('gets the environment it is given and nothing else', async () => {
    process.env['KMS_CANARY'] = 'canary';
    const { folder, kms } = setup('');
    const file = join(folder, 'environment');
    const script = `require('fs').writeFileSync(${JSON.stringify(file)}, JSON.stringify(process.env));${UNWRAP}`;
    await openSealingKeyByCommand({ ...kms, command: [NODE, '-e', script], environment: { REGION: 'x' } });
    delete process.env['KMS_CANARY'];
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual({ REGION: 'x' });
  });

  it('that hangs is ended in time, with all it started', async () => {
    const { folder, open } = setup('', { timeoutMs: 1500 });
    const alive = join(folder, 'alive');
    const tick = `setInterval(() => require('fs').appendFileSync(${JSON.stringify(alive)}, '.'), 20)`;
    const script = `require('child_process').spawn(process.execPath, ['-e', ${JSON.stringify(tick)}], { stdio: 'inherit' }); setInterval(() => 0, 1000)`;
    const from = performance.now();
    const { kms } = setup(script, { folder, timeoutMs: 1500 });
    expect(await refusal(openSealingKeyByCommand(kms))).toContain('did not end within 1.5 s');
    expect(performance.now() - from).toBeLessThan(6000);
    const ticks = (): number => (existsSync(alive) ? readFileSync(alive).length : 0);
    const before = ticks();
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(ticks(), 'its child is ended, too').toBe(before);
    expect(await refusal(open())).toContain('32 bytes'); // an empty answer is none
  });

  it('that writes without end is cut off', async () => {
    const { open } = setup(`for (;;) require('fs').writeSync(1, 'x'.repeat(65536))`);
    expect(await refusal(open())).toContain('wrote more than 1024 bytes');
  });

  it.each([
    ['nothing', ''],
    ['garbage', 'console.log("not a key at all")'],
    ['bytes that are no text', 'process.stdout.write(Buffer.alloc(32, 255))'],
    ['a key that is too short', `console.log(${JSON.stringify(KEY.slice(0, 40))})`],
    ['a key and something else', `console.log(${JSON.stringify(KEY)}, 'ok')`],
    ['two keys', `console.log(${JSON.stringify(`${KEY}\n${KEY}`)})`],
  ])('that writes %s is refused, without a word of it', async (_what, script) => {
    expect(await refusal(setup(script).open())).toContain('must write 32 bytes in base64');
  });

  it('that writes the key and fails is refused: it does not count', async () => {
    const script = `process.stdout.write(${JSON.stringify(KEY)}); console.error(${JSON.stringify(KEY)}); process.exitCode = 3`;
    expect(await refusal(setup(script).open())).toContain('ended with exit code 3');
    const killed = `process.stdout.write(${JSON.stringify(KEY)}, () => process.kill(process.pid, 'SIGTERM'))`;
    expect(await refusal(setup(killed).open())).toContain('ended with SIGTERM');
  });

  it('that does not read its input, is not there, or has nothing to unwrap is refused', async () => {
    const big = setup('process.stdin.destroy(); setTimeout(() => 0, 100)');
    writeFileSync(big.kms.wrappedKey, 'x'.repeat(1_000_000));
    expect(await refusal(big.open())).toContain('32 bytes');
    const { kms } = setup(UNWRAP);
    expect(await refusal(openSealingKeyByCommand({ ...kms, command: ['/no/such/program'] }))).toContain(
      'cannot be started (ENOENT)',
    );
    expect(await refusal(openSealingKeyByCommand({ ...kms, wrappedKey: '/no/such/key' }))).toContain(
      'cannot be read (ENOENT)',
    );
  });
});
