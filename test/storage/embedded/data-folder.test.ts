import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openLogReader } from '../../../src/storage/index.ts';
import { openLog } from '../../support/embedded-log.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const boot = { type: 'boot', version: '0.1.0', config: 'digest' } as const;
const mode = (path: string): string => (statSync(path).mode & 0o777).toString(8);

async function writtenFolder(): Promise<string> {
  const folder = join(temporaryFolder(), 'data');
  await using log = await openLog(folder);
  await log.append(boot);
  return folder;
}

describe('the data folder', () => {
  it('is made for its owner alone, with everything secret in it', async () => {
    const folder = await writtenFolder();
    expect(mode(folder)).toBe('700');
    expect(mode(join(folder, 'keys'))).toBe('700');
    expect(mode(join(folder, 'keys/log-key.pem'))).toBe('600');
    expect(mode(join(folder, 'log.db'))).toBe('600');
    expect(readFileSync(join(folder, 'log-public-key'), 'utf8')).toMatch(
      /^agents\.example\.org\/log\+[0-9a-f]{8}\+/,
    );
  });

  it.each([
    ['a file is in its place', (path: string) => writeFileSync(path, '')],
    ['a file is above it', (path: string) => writeFileSync(join(path, '..', 'above'), '')],
  ])('is refused with its path and the fix when %s', async (name, block) => {
    const parent = temporaryFolder();
    block(join(parent, 'data'));
    const folder = join(parent, name.endsWith('above it') ? 'above/data' : 'data');
    await expect(openLog(folder)).rejects.toMatchObject({
      code: 'ERR_DATA_FOLDER',
      message: expect.stringMatching(/data.*file is in the way; remove it or set "data"/),
    });
  });

  it('serves one gateway at a time, and the next one after it', async () => {
    const folder = temporaryFolder();
    {
      await using _first = await openLog(folder);
      await expect(openLog(folder)).rejects.toMatchObject({
        code: 'ERR_DATA_FOLDER',
        message: `${folder} is in use by another gateway; stop that one or set "data" to a folder of its own`,
      });
    }
    await using again = await openLog(folder);
    expect((await again.append(boot)).index).toBe(0);
  });

  it('of another trust domain is refused, so that no log changes its name', async () => {
    const folder = await writtenFolder();
    await expect(openLog(folder, { origin: 'other.example.org/log' })).rejects.toMatchObject({
      code: 'ERR_DATA_FOLDER',
      message: expect.stringContaining('holds the log of "agents.example.org/log"'),
    });
  });

  it('without a log cannot be read', () => {
    expect(() => openLogReader(temporaryFolder())).toThrow(
      expect.objectContaining({
        code: 'ERR_DATA_FOLDER',
        message: expect.stringContaining('holds no intent log'),
      }),
    );
  });
});

describe('the log key', () => {
  it('is refused when others can read it', async () => {
    const folder = await writtenFolder();
    chmodSync(join(folder, 'keys/log-key.pem'), 0o644);
    await expect(openLog(folder)).rejects.toMatchObject({
      code: 'ERR_KEY_INVALID',
      message: expect.stringContaining('chmod 600'),
    });
  });

  it('is not silently replaced when it is lost: that would be another log', async () => {
    const folder = await writtenFolder();
    rmSync(join(folder, 'keys/log-key.pem'));
    await expect(openLog(folder)).rejects.toMatchObject({ code: 'ERR_KEY_INVALID' });
    expect(existsSync(join(folder, 'keys/log-key.pem'))).toBe(false);
  });

  it('is refused when it is no key, without quoting it', async () => {
    const folder = await writtenFolder();
    writeFileSync(join(folder, 'keys/log-key.pem'), 'canary-secret');
    const refused = openLog(folder).catch((error: Error) => error);
    expect(await refused).toMatchObject({ code: 'ERR_KEY_INVALID' });
    expect(String(await refused)).not.toContain('canary');
  });

  it('is refused when it is not the one the log was signed with', async () => {
    const [folder, other] = [await writtenFolder(), await writtenFolder()];
    writeFileSync(join(folder, 'keys/log-key.pem'), readFileSync(join(other, 'keys/log-key.pem')));
    await expect(openLog(folder)).rejects.toMatchObject({
      code: 'ERR_KEY_INVALID',
      message: expect.stringContaining('does not belong'),
    });
  });

  it('is made also when the keys folder is there already', async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'keys'), { mode: 0o700 });
    await using log = await openLog(folder);
    expect(log.verifierKey).toContain('agents.example.org/log+');
  });
});
