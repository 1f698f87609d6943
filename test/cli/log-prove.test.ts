import { generateKeyPairSync } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { logVerify } from '../../src/cli/log.ts';
import { logCheckProof, logProve } from '../../src/cli/log-prove.ts';
import { logReconcile } from '../../src/cli/log-reconcile.ts';
import { createCosigner, parseNote } from '../../src/intent-log/index.ts';
import { openLog } from '../support/embedded-log.ts';
import { intent, newCall, newRun, outcome, runOpen } from '../support/records.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const cosigner = createCosigner('witness.example.net', generateKeyPairSync('ed25519').privateKey);

/** A closed log of one call, cosigned, and a policy that asks for that witness. */
async function witnessedLog(): Promise<{ folder: string; call: string; policy: string; run: string }> {
  const folder = temporaryFolder();
  const [run, call] = [newRun(), newCall()];
  await using log = await openLog(folder);
  await log.append(runOpen(run));
  await log.append(outcome(run, call, (await log.append(intent(run, call))).leaf));
  const growth = await log.growth(0);
  const text = parseNote(growth?.note ?? '')?.text ?? '';
  await log.keepCosignatures(growth?.size ?? 0, cosigner.cosign(text, 1_772_366_400));
  const policy = join(folder, 'policy');
  writeFileSync(policy, `log ${log.verifierKey}\nwitness w ${cosigner.verifierKey}\nquorum w\n`);
  return { folder, call, policy, run };
}

function collect(): { out: (line: string) => void; lines: string[] } {
  const lines: string[] = [];
  return { lines, out: (line) => lines.push(line) };
}

describe('log prove', () => {
  it('writes each record of a call with a proof that stands without the log', async () => {
    const { folder, call, policy } = await witnessedLog();
    const to = temporaryFolder();
    const { out, lines } = collect();
    expect(logProve(call, { folder, to, out })).toBe(0);
    expect(readdirSync(to)).toEqual([
      'record-1.json',
      'record-1.tlog-proof',
      'record-2.json',
      'record-2.tlog-proof',
    ]);
    const files = { record: join(to, 'record-2.json'), proof: join(to, 'record-2.tlog-proof'), policy, out };
    expect(logCheckProof(files)).toBe(0);
    expect(lines.at(-1)).toBe('proven: in the tree of agents.example.org/log, size 3');
    expect(logCheckProof({ ...files, record: join(to, 'record-1.json') })).toBe(1);
    writeFileSync(files.record, readFileSync(files.record, 'utf8').replace('"ok"', '"tool_error"'));
    expect(logCheckProof(files)).toBe(1);
  });

  it('cannot decide when nobody that the policy names has seen the log', async () => {
    const { folder, run } = await witnessedLog();
    const to = temporaryFolder();
    const { out } = collect();
    expect(logProve(run, { folder, to, out })).toBe(0);
    const stranger = createCosigner('other.example.net', generateKeyPairSync('ed25519').privateKey);
    const key = readFileSync(join(folder, 'log-public-key'), 'utf8').trim();
    const policy = join(to, 'policy');
    writeFileSync(policy, `log ${key}\nwitness w ${stranger.verifierKey}\nquorum w\n`);
    const files = { record: join(to, 'record-0.json'), proof: join(to, 'record-0.tlog-proof'), policy, out };
    expect(logCheckProof(files)).toBe(2);
  });

  it('says when the log has no such call', async () => {
    const { folder } = await witnessedLog();
    const { out, lines } = collect();
    expect(logProve(newCall(), { folder, to: temporaryFolder(), out })).toBe(1);
    expect(lines[0]).toContain('no records of');
  });
});

describe('log verify with a policy', () => {
  it('says up to where the witnesses have seen the log, and what is newer', async () => {
    const { folder, policy } = await witnessedLog();
    {
      await using log = await openLog(folder);
      await log.append(runOpen(newRun()));
    }
    const { out, lines } = collect();
    expect(await logVerify({ folder, policy, out })).toBe(0);
    expect(lines).toContain('  witnessed up to size 3 at 2026-03-01T12:00:00.000Z');
    expect(lines).toContain('  1 newer records no witness has seen yet');
  });

  it('refuses a policy that names no log', async () => {
    const { folder } = await witnessedLog();
    const policy = join(folder, 'empty');
    writeFileSync(policy, 'quorum none\n');
    await expect(logVerify({ folder, policy, out: () => {} })).rejects.toThrow('names no log');
  });
});

describe('log reconcile', () => {
  it('is content when every accepted credential has its intent, and names those that have none', async () => {
    const folder = temporaryFolder();
    const [run, call] = [newRun(), newCall()];
    let leaf = '';
    {
      await using log = await openLog(folder);
      await log.append(runOpen(run));
      ({ leaf } = await log.append(intent(run, call)));
    }
    const ledger = join(folder, 'ledger.jsonl');
    const { out, lines } = collect();
    writeFileSync(ledger, `${JSON.stringify({ jti: call, intent: leaf, at: 1 })}\n\n`);
    expect(logReconcile([ledger], { folder, out })).toBe(0);
    const gone = newCall();
    writeFileSync(ledger, `${JSON.stringify({ jti: gone, intent: leaf.replace(/^.../, 'AAA') })}\n`);
    expect(logReconcile([ledger], { folder, out })).toBe(1);
    expect(lines.at(-1)).toContain(`credential ${gone} was accepted`);
    writeFileSync(ledger, '{"jti": 1}\n');
    expect(() => logReconcile([ledger], { folder, out })).toThrow('line 1 must be');
  });
});
