import { appendFileSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseLedgerEntry } from '../../src/intent-log/index.ts';
import { openFileLedger, type VerifiedCall } from '../../src/verifier/index.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const callOf = (callId: string, tool = 'close_ticket'): VerifiedCall => ({
  callId,
  run: 'spiffe://agents.example.org/agent/a/run/r',
  agent: 'spiffe://agents.example.org/agent/a',
  chain: [],
  root: 'r',
  method: 'tools/call',
  tool,
  decision: { policies: [], revision: 'r' },
  intent: 'A'.repeat(43),
  expiresAt: 1,
});
const linesOf = (path: string): string[] => readFileSync(path, 'utf8').split('\n').slice(0, -1);
const idsOf = (path: string) => linesOf(path).map((line) => parseLedgerEntry(line)?.credential);

describe('a ledger in a file', () => {
  it('holds one line for each call, which the log is reconciled with', async () => {
    const path = join(temporaryFolder(), 'ledger');
    {
      await using ledger = await openFileLedger(path, { now: () => Date.UTC(2026, 2, 1) });
      await Promise.all(Array.from({ length: 100 }, (_, i) => ledger.add(callOf(`call-${i}`))));
      expect(linesOf(path)).toHaveLength(100);
    }
    expect(JSON.parse(linesOf(path)[0] ?? '')).toEqual({
      jti: 'call-0',
      intent: 'A'.repeat(43),
      time: '2026-03-01T00:00:00.000Z',
      run: 'spiffe://agents.example.org/agent/a/run/r',
      method: 'tools/call',
      tool: 'close_ticket',
    });
    await using again = await openFileLedger(path);
    await again.add(callOf('later'));
    expect(idsOf(path)).toHaveLength(101);
  });

  it('cannot be made to hold another line by what a tool is called', async () => {
    const path = join(temporaryFolder(), 'ledger');
    await using ledger = await openFileLedger(path);
    await ledger.add(callOf('one', 'x\n{"jti":"two","intent":"A"}\n'));
    expect(idsOf(path)).toEqual(['one']);
  });

  it('cuts off what a crash left half written, and keeps every whole line', async () => {
    const path = join(temporaryFolder(), 'ledger');
    {
      await using ledger = await openFileLedger(path);
      await ledger.add(callOf('one'));
    }
    appendFileSync(path, '{"jti":"torn","int');
    await using ledger = await openFileLedger(path);
    await ledger.add(callOf('two'));
    expect(idsOf(path)).toEqual(['one', 'two']);
  });

  it('begins a new file when one is full, and never writes over an old one', async () => {
    const folder = temporaryFolder();
    const path = join(folder, 'ledger');
    await using ledger = await openFileLedger(path, { maxBytes: 1, now: () => 7 });
    for (const id of ['one', 'two', 'three', 'four']) await ledger.add(callOf(id));
    expect(readdirSync(folder).sort()).toEqual(['ledger', 'ledger.7', 'ledger.7-1', 'ledger.7-2']);
    expect(
      readdirSync(folder)
        .flatMap((name) => idsOf(join(folder, name)))
        .sort(),
    ).toEqual(['four', 'one', 'three', 'two']);
  });

  it('goes on in a new file when somebody has moved it away', async () => {
    const path = join(temporaryFolder(), 'ledger');
    await using ledger = await openFileLedger(path);
    await ledger.add(callOf('one'));
    renameSync(path, `${path}.1`);
    await ledger.add(callOf('two'));
    expect([idsOf(`${path}.1`), idsOf(path)]).toEqual([['one'], ['two']]);
  });

  it('refuses everything after the first failure, until it is opened anew', async () => {
    const folder = temporaryFolder();
    const path = join(folder, 'ledger');
    {
      await using ledger = await openFileLedger(path);
      await ledger.add(callOf('one'));
      renameSync(path, `${path}.1`);
      mkdirSync(path);
      await expect(ledger.add(callOf('two'))).rejects.toThrow('cannot be written');
      renameSync(path, `${path}.folder`);
      await expect(ledger.add(callOf('three'))).rejects.toThrow('cannot be written');
    }
    await using again = await openFileLedger(path);
    await again.add(callOf('four'));
    expect(idsOf(path)).toEqual(['four']);
  });

  it('refuses what takes too long, and what comes when too many wait', async () => {
    const path = join(temporaryFolder(), 'ledger');
    const ledger = await openFileLedger(path, { timeoutMs: 0 });
    const many = Array.from({ length: 10_050 }, (_, i) => ledger.add(callOf(`${i}`)));
    const settled = await Promise.allSettled(many);
    expect(settled.some(({ status }) => status === 'fulfilled')).toBe(false);
    await ledger[Symbol.asyncDispose]();
  });

  it('does not open where it cannot write', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'file'), '');
    await expect(openFileLedger(join(folder, 'file', 'ledger'))).rejects.toThrow('ENOTDIR');
  });
});
