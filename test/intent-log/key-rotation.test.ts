import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  type AuditReport,
  auditLog,
  createCheckpointSigner,
  followKeys,
  formatRotation,
  formatTlogProof,
  inclusionProof,
  parseTlogPolicy,
  parseTlogProof,
  parseVerifierKey,
  readRotation,
  treeHash,
  type VerifierKey,
  verifyTlogProof,
} from '../../src/intent-log/index.ts';
import { LogInMemory } from '../support/log-in-memory.ts';
import { newRun, runOpen } from '../support/records.ts';

const ORIGIN = 'agents.example.org/log';
const newKey = (): KeyObject => generateKeyPairSync('ed25519').privateKey;
const signerOf = (key: KeyObject, origin = ORIGIN) => createCheckpointSigner(origin, key);
const verifierOf = (key: KeyObject): VerifierKey =>
  parseVerifierKey(signerOf(key).verifierKey) as VerifierKey;

/** Both signatures in one note, as while an old key still signs. */
const bothOf = (older: KeyObject, newer: KeyObject) => ({
  verifierKey: signerOf(newer).verifierKey,
  sign: (head: { size: number; root: string }) => {
    const old = signerOf(older).sign(head);
    return signerOf(newer).sign(head) + old.slice(old.indexOf('\n\n') + 2);
  },
});

/** Three keys in turn; 5 records and a checkpoint under each, the first after a change signed by both. */
function rotated() {
  const keys = [newKey(), newKey(), newKey()] as const;
  const log = new LogInMemory(ORIGIN, signerOf(keys[0]));
  const grow = (): void => {
    for (let i = 0; i < 5; i++) log.append(runOpen(newRun()));
  };
  grow();
  log.sign();
  for (const [older, newer] of [
    [keys[0], keys[1]],
    [keys[1], keys[2]],
  ] as const) {
    log.changeKey(older, newer);
    log.sign(bothOf(older, newer));
    grow();
    log.sign(signerOf(newer));
  }
  return { keys, log };
}

const audit = (log: LogInMemory, ...keys: readonly KeyObject[]): AuditReport =>
  auditLog(log, { keys: keys.map(verifierOf) });
const whats = ({ findings }: AuditReport): string => findings.map(({ what }) => what).join('\n');

describe('a log whose key was changed', () => {
  it.each([0, 1, 2] as const)('is verified by a stranger who has only key %i', (which) => {
    const { keys, log } = rotated();
    const report = audit(log, keys[which]);
    expect(whats(report)).toBe('');
    expect(report).toMatchObject({
      verdict: 'verified',
      checkpoint: { size: 17 },
      keyChanges: [5, 11],
    });
  });

  it('is verified from a source that names the changes, and found out when it hides or invents one', () => {
    const { keys, log } = rotated();
    const changes = log.stored.filter((_, i) => i === 5 || i === 11);
    const told = (keyChanges: typeof changes) =>
      auditLog(
        { records: (n) => log.records(n), checkpoints: () => log.notes, keyChanges: () => keyChanges },
        { keys: [verifierOf(keys[0])] },
      );
    expect(told(changes).verdict).toBe('verified');
    expect(told(changes.slice(0, 1))).toMatchObject({ verdict: 'failed' });
    expect(told([])).toMatchObject({ verdict: 'failed' });
    const forged = new LogInMemory(ORIGIN, signerOf(keys[2]));
    for (const { bytes } of log.stored) forged.append(JSON.parse(Buffer.from(bytes).toString()));
    forged.changeKey(keys[2], newKey());
    expect(told([...changes, ...forged.stored.slice(-1)]).verdict).toBe('failed');
  });

  it('does not verify with the key of another log', () => {
    expect(audit(rotated().log, newKey()).verdict).toBe('failed');
  });

  it.each([
    ['the change dropped', 5, undefined, 'missing'],
    ['the change replaced by another record', 5, 'boot', 'add up'],
  ])('fails with %s', (_, at, replaced, says) => {
    const { keys, log } = rotated();
    if (replaced === undefined) log.stored.splice(at, 1);
    else {
      const other = new LogInMemory();
      for (let i = 0; i < at; i++) other.append(runOpen(newRun()));
      other.append({ type: 'boot', version: '1', config: '' });
      log.stored[at] = other.stored[at] as (typeof log.stored)[number];
    }
    const report = audit(log, keys[0]);
    expect(report.verdict).toBe('failed');
    expect(whats(report)).toContain(says);
  });
});

describe('who wants the log to follow another key', () => {
  const thief = newKey();

  it('gets nowhere without the key in force', () => {
    const { keys, log } = rotated();
    log.changeKey(thief, newKey());
    log.sign(signerOf(thief));
    const report = audit(log, keys[0]);
    expect(report.verdict).toBe('failed');
    expect(whats(report)).toContain('record 17 changes a key that was not, or no longer, the one in force');
  });

  it('gets nowhere with a statement that only the new key has signed', () => {
    const { keys, log } = rotated();
    const statement = { origin: ORIGIN, size: 17, root: treeHash(log.leaves()) };
    const real = formatRotation(statement, { from: keys[2], to: thief });
    const [text = '', lines = ''] = real.split('\n\n');
    const [old = '', own = ''] = lines.split('\n');
    for (const note of [`${text}\n\n${own}\n`, `${text}\n\n${old}\n`, `${text}\n\n${own}\n${own}\n`])
      expect(readRotation(note)).toBeUndefined();
    expect(readRotation(real)).toMatchObject({ size: 17 });
  });

  it('gets nowhere with a key that was replaced: no checkpoint, no second change', () => {
    const { keys, log } = rotated();
    const { notes } = log;
    log.append(runOpen(newRun()));
    log.sign(signerOf(keys[1]));
    const signed = audit(log, keys[0]);
    expect(whats(signed)).toContain('was not in force at that size');
    expect(signed.verdict).toBe('failed');

    log.notes = notes.slice(0, -1);
    log.changeKey(keys[0], thief);
    log.sign(signerOf(thief));
    expect(whats(audit(log, keys[0]))).toContain('no longer, the one in force');
  });

  it('gets nowhere with an earlier statement at another place', () => {
    const { keys, log } = rotated();
    const again = new LogInMemory(ORIGIN, signerOf(keys[0]));
    for (let i = 0; i < 7; i++) again.append(runOpen(newRun()));
    const moved = Buffer.from(log.stored[5]?.bytes ?? []).toString();
    again.append(JSON.parse(moved));
    again.sign(signerOf(keys[1]));
    expect(whats(audit(again, keys[0]))).toContain('not signed by both keys');
  });

  it('cannot give the records before the change another past, not even with the old key and a new statement', () => {
    const { keys, log } = rotated();
    const other = new LogInMemory(ORIGIN, signerOf(keys[0]));
    for (let i = 0; i < 5; i++) other.append(runOpen(newRun()));
    log.stored.splice(0, 5, ...other.stored);
    log.notes = log.notes.slice(1);
    expect(audit(log, keys[2]).verdict).toBe('failed');
  });

  it('and has stolen the key in force is believed by whoever has seen nothing since: for that there are witnesses', () => {
    const { keys, log } = rotated();
    log.changeKey(keys[2], thief);
    log.append(runOpen(newRun()));
    log.sign(signerOf(thief));
    expect(audit(log, keys[0]).verdict).toBe('verified');
    // What a reader can still see is that there was a change that nobody announced.
    const report = auditLog(log, { keys: [verifierOf(keys[2])], known: log.notes.at(-2)?.note ?? '' });
    expect(report.keyChanges).toEqual([5, 11, 17]);
  });

  it('cannot lead back to a key that was in force before', () => {
    const { keys, log } = rotated();
    log.changeKey(keys[2], keys[0]);
    log.sign(signerOf(keys[0]));
    expect(audit(log, keys[0]).verdict).toBe('failed');
  });

  it('cannot pass off a change as a checkpoint, or a checkpoint as a change', () => {
    const { keys, log } = rotated();
    const chain = followKeys([verifierOf(keys[0])], []);
    const note = formatRotation(
      { origin: ORIGIN, size: 3, root: treeHash([]) },
      { from: keys[0], to: thief },
    );
    expect(chain.verify(note).ok).toBe(false);
    expect(readRotation(log.notes[0]?.note ?? '')).toBeUndefined();
  });

  it('cannot choose keys of one id: the statement is refused', () => {
    const origin = ORIGIN;
    const text = formatRotation({ origin, size: 0, root: treeHash([]) }, { from: thief, to: thief });
    expect(readRotation(text)).toBeUndefined();
    const from = signerOf(thief, 'other.example.org/log').verifierKey;
    const body = `sallyport/log-key-rotation/v1\n${origin}\n0\n${'A'.repeat(43)}=\n${from}\n${signerOf(thief).verifierKey}\n`;
    const line = `— ${origin} ${Buffer.concat([Buffer.alloc(4), sign(null, Buffer.from(body), thief)]).toString('base64')}\n`;
    expect(readRotation(`${body}\n${line}`)).toBeUndefined();
  });
});

describe('a proof of a single record of such a log', () => {
  const policyOf = (key: KeyObject) => {
    const policy = parseTlogPolicy(`log ${signerOf(key).verifierKey}\nquorum none\n`);
    if (!policy.ok) throw new Error(policy.error);
    return policy.value;
  };

  it.each([0, 1, 2] as const)('is good for a stranger who has only key %i', (which) => {
    const { keys, log } = rotated();
    const leaves = log.leaves();
    const rotations = [5, 11].map((idx) => {
      const record = JSON.parse(Buffer.from(log.stored[idx]?.bytes ?? []).toString()) as { note: string };
      return record.note;
    });
    const checkpoint = log.notes.at(-1)?.note ?? '';
    const proof = { index: 8, path: inclusionProof(8, leaves), checkpoint, rotations };
    const parsed = parseTlogProof(formatTlogProof(proof));
    if (parsed === undefined) throw new Error('no proof');
    expect(parsed).toEqual(proof);
    expect(verifyTlogProof(leaves[8] ?? '', parsed, policyOf(keys[which]))).toMatchObject({ ok: true });
    expect(verifyTlogProof(leaves[7] ?? '', parsed, policyOf(keys[which])).ok).toBe(false);
    expect(verifyTlogProof(leaves[8] ?? '', parsed, policyOf(newKey()))).toEqual({
      ok: false,
      error: 'bad_signature',
    });
  });

  it('is refused when a thief of a replaced key made it, to whoever has only a newer key', () => {
    const { keys, log } = rotated();
    const rotations = [5, 11].map((idx) => {
      const record = JSON.parse(Buffer.from(log.stored[idx]?.bytes ?? []).toString()) as { note: string };
      return record.note;
    });
    const forged = new LogInMemory(ORIGIN, signerOf(keys[1]));
    for (let i = 0; i < 11; i++) forged.append(runOpen(newRun()));
    const leaves = forged.leaves();
    for (const size of [8, 11]) {
      const [some, root] = [leaves.slice(0, size), treeHash(leaves.slice(0, size))];
      const checkpoint = signerOf(keys[1]).sign({ size, root });
      const lie = formatRotation({ origin: ORIGIN, size, root }, { from: newKey(), to: keys[1] });
      for (const told of [rotations, rotations.slice(1), [lie, rotations[1] ?? ''], [lie, ...rotations]]) {
        const proof = { index: 3, path: inclusionProof(3, some), checkpoint, rotations: told };
        expect(verifyTlogProof(leaves[3] ?? '', proof, policyOf(keys[2]))).toEqual({
          ok: false,
          error: 'bad_signature',
        });
      }
    }
  });

  it('is good under the last checkpoint of a replaced key, which the next key signed for in the change', () => {
    const { keys, log } = rotated();
    const { note } = JSON.parse(Buffer.from(log.stored[5]?.bytes ?? []).toString()) as { note: string };
    const leaves = log.leaves().slice(0, 5);
    const checkpoint = log.notes[0]?.note ?? '';
    const proof = { index: 3, path: inclusionProof(3, leaves), checkpoint, rotations: [note] };
    for (const key of [keys[0], keys[1]])
      expect(verifyTlogProof(leaves[3] ?? '', proof, policyOf(key)).ok).toBe(true);
  });

  it('passes over what else stands in its extra line', () => {
    const { keys, log } = rotated();
    const leaves = log.leaves();
    const proof = { index: 8, path: inclusionProof(8, leaves), checkpoint: log.notes.at(-1)?.note ?? '' };
    for (const extra of [
      'AAAA',
      Buffer.from('{"a":1}').toString('base64'),
      Buffer.from('[1,"x"]').toString('base64'),
    ]) {
      const text = formatTlogProof(proof).replace('\n', `\nextra ${extra}\n`);
      const parsed = parseTlogProof(text);
      if (parsed === undefined) throw new Error('no proof');
      expect(verifyTlogProof(leaves[8] ?? '', parsed, policyOf(keys[2])).ok).toBe(true);
      expect(verifyTlogProof(leaves[8] ?? '', parsed, policyOf(keys[0])).ok).toBe(false);
    }
  });
});
