import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { logVerify } from '../../src/cli/log.ts';
import { logExport, logVerifyBundle } from '../../src/cli/log-bundle.ts';
import { logBegin, logRotateKey } from '../../src/cli/log-key.ts';
import { logCheckProof, logProve } from '../../src/cli/log-prove.ts';
import { openGateway } from '../../src/cli/open-gateway.ts';
import { createLogger, parseConfig } from '../../src/gateway/index.ts';
import { prepareFleet } from '../support/fleet.ts';
import { startHoldServer } from '../support/hold-server.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const keyIn = (data: string): string => readFileSync(join(data, 'log-public-key'), 'utf8').trim();

describe('sallyport log rotate-key', () => {
  it('changes the key of a running gateway and of one that does not run; the first key verifies everything', async () => {
    await using upstream = await startHoldServer();
    using fleet = await prepareFleet({ upstreamUrl: upstream.url, state: [{ kind: 'embedded' }] });
    const [member] = fleet.members;
    if (member === undefined) throw new Error('one gateway');
    const { configFile, data } = member;
    const gateway = await openGateway(parseConfig(member.config, 'fleet'), { log: createLogger('silent') });
    const first = keyIn(data);
    const lines: string[] = [];
    const out = (line: string): void => void lines.push(line);
    const { run } = await fleet.agents.open(member);
    expect(await logRotateKey({ config: configFile, reason: 'yearly', overlap: '1', out })).toBe(0);
    expect(lines[1]).toContain(first);
    expect(lines[2]).toContain(keyIn(data));
    expect(keyIn(data)).not.toBe(first);

    await gateway[Symbol.asyncDispose]();
    expect(await logRotateKey({ config: configFile, reason: 'again', overlap: '0', out })).toBe(0);
    lines.length = 0;
    expect(await logVerify({ folder: data, key: first, out })).toBe(0);
    expect(lines.filter((line) => line.startsWith('  key of the log changed by record'))).toHaveLength(2);

    const folder = temporaryFolder();
    const policy = join(folder, 'policy');
    writeFileSync(policy, `log ${first}\nquorum none\n`);
    expect(logProve(run, { folder: data, to: folder, out })).toBe(0);
    const record = /(\S+)\.json/.exec(lines.at(-1) ?? '')?.[1] ?? '';
    expect(logCheckProof({ record: `${record}.json`, proof: `${record}.tlog-proof`, policy, out })).toBe(0);
    const bundle = join(folder, 'bundle.tar');
    expect(logExport(run, { folder: data, bundle, out })).toBe(0);
    lines.length = 0;
    expect(logVerifyBundle(bundle, { policy, out })).toBe(2); // for the one reason that the run has no end
    expect(lines.slice(1)).toEqual([expect.stringContaining('was not over')]);
  });

  it.each(['-1', '721', 'x', ''])('refuses an overlap of %j', async (overlap) => {
    const run = logRotateKey({ config: 'none', reason: 'r', overlap, out: () => {} });
    await expect(run).rejects.toMatchObject({ code: 'ERR_CONFIG_INVALID' });
  });
});

describe('sallyport log begin', () => {
  it('begins a new log that quotes the old one, under a new name, and never over one that is there', async () => {
    await using upstream = await startHoldServer();
    using fleet = await prepareFleet({ upstreamUrl: upstream.url, state: [{ kind: 'embedded' }] });
    const [member] = fleet.members;
    if (member === undefined) throw new Error('one gateway');
    const gateway = await openGateway(parseConfig(member.config, 'fleet'), { log: createLogger('silent') });
    await gateway[Symbol.asyncDispose]();
    const folder = temporaryFolder();
    const previous = join(folder, 'checkpoint');
    copyFileSync(join(member.data, 'checkpoint'), previous);
    const said = JSON.parse(readFileSync(member.configFile, 'utf8')) as Record<string, object>;
    const lines: string[] = [];
    const begin = (changes: object, checkpoint = previous): Promise<number> => {
      const config = join(folder, 'config.json');
      writeFileSync(config, JSON.stringify({ ...said, ...changes }));
      const out = (line: string): void => void lines.push(line);
      return logBegin({ config, previous: checkpoint, reason: 'the key was stolen', out });
    };
    const data = join(folder, 'data');
    await expect(begin({ data })).rejects.toThrow('raise log.generation');
    const next = { data, log: { ...said['log'], generation: 2 } };
    await expect(begin(next, member.configFile)).rejects.toThrow('must be a signed checkpoint');
    expect(await begin(next)).toBe(0);
    await expect(begin(next)).rejects.toThrow('holds a log already');
    expect(keyIn(data)).toMatch(/\/log~2\+/);
    lines.length = 0;
    expect(await logVerify({ folder: data, out: (line) => void lines.push(line) })).toBe(0);
    expect(lines.join('\n')).toMatch(/takes the place of \S+\/log from size \d+ on, by its own word/);
  });
});
