import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { RunId } from '../../src/base/index.ts';
import { logList, logShow, logVerify, printable, renderCausalTree } from '../../src/cli/log.ts';
import { buildCausalTree } from '../../src/intent-log/index.ts';
import { openLogReader } from '../../src/storage/index.ts';
import { openLog, tamper } from '../support/embedded-log.ts';
import { newSigner } from '../support/log-in-memory.ts';
import { intent, newCall, newRun, outcome, refusal, runClose, runOpen } from '../support/records.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

type Story = { folder: string; root: RunId; child: RunId; calls: string[] };

async function story(): Promise<Story> {
  const folder = temporaryFolder();
  const [root, child] = [newRun(), newRun()];
  const [first, denied, inChild, open] = [newCall(), newCall(), newCall(), newCall()];
  await using log = await openLog(folder);
  await log.append({ type: 'boot', version: '0.1.0', config: 'digest' });
  await log.append(runOpen(root));
  const { leaf } = await log.append(intent(root, first, { labels: ['untrusted'] }));
  await log.append(outcome(root, first, leaf));
  await log.append(refusal(root, denied));
  await log.append(runOpen(child, { parent: root, root, depth: 1, purpose: 'lookup' }));
  const childIntent = await log.append(intent(child, inChild));
  await log.append(outcome(child, inChild, childIntent.leaf, { status: 'tool_error' }));
  await log.append(runClose(child, { by: 'parent', reason: 'task over' }));
  await log.append(intent(root, open));
  await log.append({
    type: 'refusal',
    call: newCall(),
    run: root,
    early: { reason: 'proof_replayed' },
    micros: 80,
  });
  return { folder, root, child, calls: [first, denied, inChild, open] };
}

function collect(): { out: (line: string) => void; lines: string[] } {
  const lines: string[] = [];
  return { lines, out: (line) => lines.push(line) };
}

describe('log show', () => {
  it('draws the delegation tree with decision, reason, credential, time and outcome of every call', async () => {
    const { folder, root, child, calls } = await story();
    const { out, lines } = collect();
    expect(await logShow(root, { folder, out })).toBe(0);
    const at = '2026-03-01T12:00:00.000Z';
    expect(lines).toEqual([
      `run ${root}  ops-desk (support), owner payments, attested by join-token, ${at}`,
      '├─ ✓ ops/list_inbox  permit [read-inbox]',
      `│    ok, 12.3 ms, credential ${calls[0]}, labels untrusted`,
      '├─ ✗ ops/send_payment  forbid forbidden_by_policy [no-untrusted-payment] "payments need a trusted source" 0.4 ms',
      `├─ run ${child}  ops-desk (lookup), owner payments, attested by join-token, ${at}`,
      '│  ├─ ✓ ops/list_inbox  permit [read-inbox]',
      `│  │    tool_error, 12.3 ms, credential ${calls[2]}`,
      `│  └─ ended by parent: task over, ${at}`,
      '├─ ✓ ops/list_inbox  permit [read-inbox]',
      '│    no outcome yet',
      '├─ ✗ (no subject)  refused before policy "proof_replayed" 0.1 ms',
      '└─ still open',
    ]);
  });

  it('marks the run that was asked for when it is not the root', async () => {
    const { folder, child } = await story();
    const { out, lines } = collect();
    expect(await logShow(child, { folder, out })).toBe(0);
    expect(lines.find((line) => line.includes(child))).toContain(`run ${child} (asked for)`);
  });

  it.each([
    ['is no run id', 'x\u001b[2J', /^x\\u\{1b\}\[2J is not a run id/],
    ['is not in the log', newRun(), /^no run [0-9A-Z]{26} in the log/],
  ])('says so when what was given %s', async (_, run, message) => {
    const { folder } = await story();
    const { out, lines } = collect();
    expect(await logShow(run, { folder, out })).toBe(1);
    expect(lines).toEqual([expect.stringMatching(message)]);
  });

  it('shows what could fool a terminal or a reader as escapes, wherever it comes from', async () => {
    const folder = temporaryFolder();
    const run = newRun();
    const evil = '\u001b[2J\u202e\u200b\r\n\u{e0041}\ufe0f';
    await using log = await openLog(folder);
    await log.append(runOpen(run, { purpose: evil, owner: { kind: 'team', name: evil, contact: '' } }));
    const call = newCall();
    const subject = { upstream: 'ops', method: 'tools/call', tool: `pay${evil}` };
    const { leaf } = await log.append(intent(run, call, { subject, labels: [evil] }));
    await log.append(outcome(run, call, leaf, { detail: evil }));
    await log.append(refusal(run, newCall(), { subject: { upstream: evil, method: evil } }));
    await log.append(runClose(run, { by: evil, reason: evil }));
    const { out, lines } = collect();
    await logShow(run, { folder, out });
    await logList({ folder, out });
    const text = lines.join('\n');
    expect(text).toContain('pay\\u{1b}[2J\\u{202e}\\u{200b}\\u{d}\\u{a}\\u{e0041}\\u{fe0f}');
    expect(text.replaceAll('\n', '')).not.toMatch(/\p{C}|\ufe0f/u);
    expect(lines).toHaveLength(6);
  });

  it('renders a tree for others, one line per array item', async () => {
    const { folder, root } = await story();
    using reader = openLogReader(folder);
    const tree = buildCausalTree(reader.tree(root), root);
    if (tree === undefined) throw new Error('no tree');
    const lines = renderCausalTree(tree);
    expect(lines).toHaveLength(12);
    expect(lines.join('')).not.toContain('\n');
  });

  it('cuts what nobody can read at a glance', () => {
    expect(printable('x'.repeat(5000))).toHaveLength(301);
  });
});

describe('log list', () => {
  it('shows runs newest first with owner, purpose, state and counts', async () => {
    const { folder, root, child } = await story();
    const { out, lines } = collect();
    expect(await logList({ folder, out })).toBe(0);
    expect(lines).toEqual([
      expect.stringMatching(
        new RegExp(
          `^${child}  .*ended    ops-desk \\(lookup\\)  owner payments  1 forwarded, 0 denied  of ${root}$`,
        ),
      ),
      expect.stringMatching(
        new RegExp(`^${root}  .*live     ops-desk \\(support\\)  owner payments  2 forwarded, 1 denied$`),
      ),
    ]);
  });

  it('says so when there are none', async () => {
    const folder = temporaryFolder();
    await using _log = await openLog(folder);
    const { out, lines } = collect();
    expect(await logList({ folder, out })).toBe(0);
    expect(lines).toEqual(['no runs in the log']);
  });
});

describe('log verify', () => {
  it('verifies an untouched log, prints its checkpoint and lists open intents', async () => {
    const { folder, root, calls } = await story();
    const { out, lines } = collect();
    expect(await logVerify({ folder, out })).toBe(0);
    expect(lines).toEqual([
      expect.stringMatching(
        /^log verified: 11 records, checkpoint agents\.example\.org\/log size 11 root [A-Za-z0-9+/]{43}=$/,
      ),
      '  3 intents, 2 outcomes, 2 refusals, 1 open',
      `  open: call ${calls[3]} of run ${root}, record 9`,
    ]);
  });

  it('waits for the checkpoint of a gateway that is running', async () => {
    const folder = temporaryFolder();
    await using log = await openLog(folder, { checkpointEveryMs: 300 });
    await log.append(runOpen(newRun()));
    const { out, lines } = collect();
    expect(await logVerify({ folder, out })).toBe(0);
    expect(lines[0]).toContain('log verified: 1 records');
  });

  it.each([
    [
      'an edited record',
      "UPDATE records SET bytes = CAST(replace(bytes, 'list_inbox', 'send_money') AS BLOB) WHERE idx = 2",
      'at 2: record 2 does not have the hash',
    ],
    ['a deleted record', 'DELETE FROM records WHERE idx = 3', 'at 3: record 3 is missing'],
    [
      'two swapped records',
      'UPDATE records SET idx = -1 WHERE idx = 6; UPDATE records SET idx = 6 WHERE idx = 7; UPDATE records SET idx = 7 WHERE idx = -1',
      'at 6: record 6 says it is record 7',
    ],
    [
      'an inserted record',
      'UPDATE records SET idx = -idx - 1 WHERE idx > 4; UPDATE records SET idx = -idx WHERE idx < 0; INSERT INTO records SELECT 5, bytes FROM records WHERE idx = 4',
      'at 5: record 5 says it is record 4',
    ],
    ['a tail cut off', 'DELETE FROM records WHERE idx > 8', 'at 9: records 9 to 10 are missing'],
    [
      'a tail cut off with its checkpoint',
      'DELETE FROM records WHERE idx > 8; DELETE FROM checkpoints',
      'at 9: records 9 to 10 are missing',
    ],
    [
      'a changed checkpoint',
      "UPDATE checkpoints SET note = replace(note, char(10) || '11' || char(10), char(10) || '10' || char(10))",
      'checkpoint of size 11',
    ],
  ])('fails on %s and says where', async (_, sql, message) => {
    const { folder } = await story();
    tamper(folder, sql);
    const { out, lines } = collect();
    expect(await logVerify({ folder, out })).toBe(1);
    expect(lines[0]).toMatch(/^log FAILED: /);
    expect(lines.join('\n')).toContain(message);
  });

  it('takes the public key and a checkpoint from elsewhere, so that the folder need not be trusted', async () => {
    const [mine, other] = [await story(), await story()];
    const { out, lines } = collect();
    using reader = openLogReader(other.folder);
    const key = reader.verifierKey ?? '';
    expect(await logVerify({ folder: mine.folder, key, out })).toBe(1);
    expect(lines.join('\n')).toContain('is not signed with the given key');
    const checkpoint = join(temporaryFolder(), 'kept');
    using own = openLogReader(mine.folder);
    writeFileSync(checkpoint, own.publishedCheckpoint() ?? '');
    expect(await logVerify({ folder: mine.folder, checkpoint, out })).toBe(0);
    writeFileSync(checkpoint, newSigner('agents.example.org/log').sign({ size: 3, root: 'x'.repeat(43) }));
    expect(await logVerify({ folder: mine.folder, checkpoint, out })).toBe(2);
  });

  it('refuses a key that is none', async () => {
    const { folder } = await story();
    await expect(logVerify({ folder, key: 'nonsense', out: () => {} })).rejects.toMatchObject({
      code: 'ERR_KEY_INVALID',
    });
  });
});
