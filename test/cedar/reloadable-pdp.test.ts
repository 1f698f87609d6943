import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type OpenPdpOptions, openPdp, type ReloadablePdp, type Reloaded } from '../../src/cedar/index.ts';
import { parseInThread } from '../../src/cedar/parse-in-thread.ts';
import {
  CATALOGUE,
  callerOf,
  catalogueOf,
  FACTS,
  MAIL_TOOLS,
  NOW,
  objectOf,
  outcome,
  PERMIT_ALL,
  runOf,
  tool,
  toolCall,
  upstreamName,
} from '../support/cedar-fixtures.ts';

let folder: string;
let open: ReloadablePdp[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sallyport-policies-'));
  open = [];
});

afterEach(async () => {
  for (const pdp of open) await pdp[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const write = (name: string, text: string) => writeFile(join(folder, name), text);

async function start(options: Partial<OpenPdpOptions> = {}): Promise<ReloadablePdp> {
  const pdp = await openPdp({ folder, catalogue: CATALOGUE, quietMillis: 0, ...options });
  open.push(pdp);
  return pdp;
}

const search = (pdp: ReloadablePdp) => outcome(pdp.decide(toolCall('mail/search', { query: 'x' })));
const TYPO = '@id("typo") permit(principal, action, resource) when { context.run.cals > 1 };';
const FORBID = '@id("stop") @reason("r") forbid(principal, action, resource);';

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 250 && !condition(); i++) await setTimeout(20);
  expect(condition()).toBe(true);
}

describe('a reloadable PDP', () => {
  it('reads the *.cedar files of a folder together, and nothing else in it', async () => {
    await write('a.cedar', PERMIT_ALL);
    await write('b.cedar', '@id("b") permit(principal, action, resource);');
    await write('c.cedar.off', FORBID);
    const pdp = await start();
    expect(search(pdp)).toBe('permit');
    const { source, ...loaded } = pdp.loaded;
    expect(loaded).toEqual({ revision: pdp.revision, policies: ['all', 'b'], warnings: [] });
    const [, texts] = JSON.parse(source) as [string, [string, string][]];
    expect(texts.map(([id]) => id)).toEqual(['all', 'b']);
  });

  it('does not start with a set that is not valid', async () => {
    await write('a.cedar', PERMIT_ALL);
    await write('b.cedar', TYPO);
    await expect(start()).rejects.toMatchObject({
      code: 'ERR_POLICY_INVALID',
      message: expect.stringContaining(`${join(folder, 'b.cedar')}:1:56: policy "typo"`),
    });
  });

  it('does not start without its folder, or with files that are not text', async () => {
    await expect(start({ folder: join(folder, 'none') })).rejects.toMatchObject({
      code: 'ERR_POLICY_INVALID',
    });
    await writeFile(join(folder, 'a.cedar'), Buffer.from([0xff, 0xfe, 0x00]));
    await expect(start()).rejects.toThrow('is not UTF-8 text');
  });

  it('refuses everything with an empty folder, and warns', async () => {
    const pdp = await start();
    expect(search(pdp)).toBe('not_permitted');
    expect(pdp.loaded.warnings).toHaveLength(1);
  });

  it('swaps to a new set as a whole', async () => {
    await write('a.cedar', PERMIT_ALL);
    const pdp = await start();
    const before = pdp.revision;
    await write('b.cedar', FORBID);
    expect(search(pdp)).toBe('permit');
    const result = await pdp.reload();
    expect(result).toEqual({ ok: true, value: pdp.revision });
    expect(pdp.revision).not.toBe(before);
    expect(search(pdp)).toBe('forbidden_by_policy');
    expect(pdp.visibleTools(callerOf(runOf()), FACTS, upstreamName('mail'), NOW).size).toBe(0);
  });

  it('keeps the old set in force, all of it, when one file of the new one is bad', async () => {
    await write('a.cedar', PERMIT_ALL);
    const pdp = await start();
    const before = pdp.revision;
    await write('a.cedar', FORBID);
    await write('b.cedar', TYPO);
    const result = await pdp.reload();
    expect(result).toMatchObject({
      ok: false,
      error: [{ file: join(folder, 'b.cedar'), line: 1, column: 56 }],
    });
    expect(pdp.revision).toBe(before);
    expect(search(pdp)).toBe('permit');
    await rm(folder, { recursive: true });
    expect((await pdp.reload()).ok).toBe(false);
    expect(search(pdp)).toBe('permit');
  });

  it('decides for a new catalogue once the policies fit it', async () => {
    await write(
      'a.cedar',
      '@id("a") permit(principal, action == Sallyport::Action::"mail/archive", resource);',
    );
    const grown = catalogueOf({ mail: [...MAIL_TOOLS, tool('archive', objectOf({}))] });
    const pdp = await start({ catalogue: grown });
    expect(outcome(pdp.decide(toolCall('mail/archive', {})))).toBe('permit');
    expect((await pdp.reload(CATALOGUE)).ok).toBe(false);
    await write('a.cedar', PERMIT_ALL);
    expect((await pdp.reload()).ok).toBe(true);
    expect(outcome(pdp.decide(toolCall('mail/archive', {})))).toBe('not_permitted');
    expect((await pdp.reload(grown)).ok).toBe(true);
    expect(outcome(pdp.decide(toolCall('mail/archive', {})))).toBe('permit');
  });

  it('reports a parser that fails, and keeps the old policies', async () => {
    await write('a.cedar', PERMIT_ALL);
    let broken = false;
    const pdp = await start({
      parse: async (...input) => {
        if (broken) throw new Error('no memory');
        return parseInThread(...input);
      },
    });
    broken = true;
    expect(await pdp.reload()).toMatchObject({ ok: false, error: [{ message: 'no memory' }] });
    expect(search(pdp)).toBe('permit');
  });

  it('runs reloads one after the other, so that the last one counts', async () => {
    await write('a.cedar', PERMIT_ALL);
    const pdp = await start();
    const results = [pdp.reload(catalogueOf({})), pdp.reload(), pdp.reload(CATALOGUE)];
    for (const result of await Promise.all(results)) expect(result.ok).toBe(true);
    expect(search(pdp)).toBe('permit');
  });

  it('follows changes of the folder and tells of good and bad ones', async () => {
    await write('a.cedar', PERMIT_ALL);
    const results: Reloaded[] = [];
    const pdp = await start({ quietMillis: 20, onReload: (result) => results.push(result) });

    await write('new.tmp', FORBID);
    await rename(join(folder, 'new.tmp'), join(folder, 'b.cedar'));
    await until(() => search(pdp) === 'forbidden_by_policy');
    expect(results.at(-1)).toEqual({ ok: true, value: pdp.revision });

    await write('b.cedar', TYPO);
    await until(() => results.at(-1)?.ok === false);
    expect(results.at(-1)).toMatchObject({ ok: false, error: [{ policy: 'typo' }] });
    expect(search(pdp)).toBe('forbidden_by_policy');

    await pdp[Symbol.asyncDispose]();
    const count = results.length;
    await write('b.cedar', '');
    await setTimeout(100);
    expect(results).toHaveLength(count);
    expect(search(pdp)).toBe('forbidden_by_policy');
  });
});
