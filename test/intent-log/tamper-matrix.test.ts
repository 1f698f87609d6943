import { describe, expect, it } from 'vitest';
import type { CallId, RunId } from '../../src/base/index.ts';
import {
  type AuditReport,
  auditLog,
  consistencyProof,
  decodeRecord,
  formatAddCheckpoint,
  judgeCheckpoint,
  type LedgerEntry,
  parseAddCheckpoint,
  type RecordBody,
  reconcile,
  type TreeHead,
  treeHash,
} from '../../src/intent-log/index.ts';
import { fixedSigner, LogInMemory } from '../support/log-in-memory.ts';
import { intent, newCall, newRun, outcome, refusal, runClose, runOpen } from '../support/records.ts';
import { type Seeded, seeded } from '../support/seeded.ts';

const ORIGIN = 'agents.example.org/log';
const RECORDS = 10_000;
const WITNESSED = 6_000;
const signer = fixedSigner(ORIGIN);

type Written = {
  readonly log: LogInMemory;
  readonly ledger: readonly LedgerEntry[];
  readonly witnessed: TreeHead;
};

/** 10,000 records of interleaved runs; a witness has seen the first 6,000; upstreams kept what they accepted. */
function write(): Written {
  const random = seeded(7);
  const log = new LogInMemory(ORIGIN, signer);
  const ledger: LedgerEntry[] = [];
  const live: { run: RunId; open: [CallId, string][] }[] = [];
  let witnessed: TreeHead = { size: 0, root: '' };
  log.append({ type: 'boot', version: '0.1.0', config: 'digest' });
  while (log.stored.length < RECORDS) {
    if (live.length < 20) {
      const run = newRun();
      log.append(runOpen(run));
      live.push({ run, open: [] });
    } else {
      step(live, log, ledger, random);
    }
    if (log.stored.length % 1000 === 0) log.sign();
    if (log.stored.length === WITNESSED) witnessed = { size: WITNESSED, root: treeHash(log.leaves()) };
  }
  return { log, ledger, witnessed };
}

function step(
  live: { run: RunId; open: [CallId, string][] }[],
  log: LogInMemory,
  ledger: LedgerEntry[],
  random: Seeded,
): void {
  const at = random.below(live.length);
  const each = live[at];
  if (each === undefined) return;
  const dice = random.next();
  const settled = each.open[0];
  if (dice < 0.48 || (dice < 0.96 && settled === undefined)) {
    const call = newCall();
    const leaf = log.append(intent(each.run, call));
    ledger.push({ credential: call, intent: leaf });
    each.open.push([call, leaf]);
  } else if (dice < 0.96 && settled !== undefined) {
    each.open.shift();
    log.append(outcome(each.run, ...settled));
  } else if (dice < 0.99) {
    log.append(refusal(each.run, newCall()));
  } else if (each.open.length === 0) {
    log.append(runClose(each.run));
    live.splice(at, 1);
  }
}

const written = write();

type Record = { readonly idx: number; readonly bytes: Uint8Array };
type Mutation = { readonly change: (records: Record[]) => Record[]; readonly cut?: true };

const at = (from: number, type: string): number => {
  for (let idx = from; idx < RECORDS; idx++)
    if (typeOf(written.log.stored[idx] as Record) === type) return idx;
  throw new Error(`no ${type} after ${from}`);
};
const typeOf = ({ bytes }: Record): string | undefined => {
  const decoded = decodeRecord(bytes);
  return decoded.ok ? decoded.value.type : undefined;
};
const runOf = (record: Record | undefined): string => {
  const decoded = record && decodeRecord(record.bytes);
  return decoded?.ok ? decoded.value.strand : '';
};
const without = (idx: number) => (all: Record[]) => all.filter((_, i) => i !== idx);
const edited = (idx: number, from: string, to: string) => (all: Record[]) =>
  all.map((record, i) =>
    i === idx ? { idx, bytes: Buffer.from(Buffer.from(record.bytes).toString().replace(from, to)) } : record,
  );

/** Each at a place that the witness has seen. */
const MUTATIONS: Readonly<{ [name: string]: Mutation }> = {
  'an intent edited': { change: edited(at(2000, 'intent'), 'list_inbox', 'list_trash') },
  'an outcome edited': { change: edited(at(2000, 'outcome'), '"status":"ok"', '"status":"cancelled"') },
  'an intent deleted': { change: without(at(2000, 'intent')) },
  'an outcome deleted': { change: without(at(2000, 'outcome')) },
  'a refusal deleted': { change: without(at(2000, 'refusal')) },
  'a whole run deleted': {
    change: (all) => all.filter((record) => runOf(record) !== runOf(all[at(2000, 'intent')])),
  },
  'the tail cut off below the witness': { change: (all) => all.slice(0, 5500), cut: true },
  'two records swapped': {
    change: (all) => {
      const [a, b] = [all[2000], all[2001]];
      if (a === undefined || b === undefined) return all;
      return all.map((record, i) => (i === 2000 ? b : i === 2001 ? a : record));
    },
  },
  'a record replayed': {
    change: (all) => [...all.slice(0, 3000), all[at(2000, 'intent')] as Record, ...all.slice(3000)],
  },
};

/** The mutated log as someone without the key leaves it: bytes and checkpoints as they are, places renumbered. */
function withoutKey({ change, cut }: Mutation): LogInMemory {
  const log = new LogInMemory(ORIGIN, signer);
  const kept = change([...written.log.stored]);
  log.stored = cut === true ? kept : kept.map(({ bytes }, idx) => ({ idx, bytes }));
  log.notes = [...written.log.notes];
  return log;
}

/** The mutated log as the holder of the key leaves it: every hash, sequence, pairing and checkpoint made anew. */
function withKey({ change }: Mutation): LogInMemory {
  const log = new LogInMemory(ORIGIN, signer);
  const leaves = new Map<string, string>();
  for (const { bytes } of change([...written.log.stored])) {
    const decoded = decodeRecord(bytes);
    if (!decoded.ok) continue;
    const { v: _, idx: _idx, at: _at, strand: _strand, seq: _seq, prev: _prev, ...body } = decoded.value;
    const record = body as RecordBody;
    if (record.type === 'outcome') {
      const leaf = leaves.get(record.call);
      if (leaf !== undefined) log.append({ ...record, intent: leaf });
      leaves.delete(record.call);
    } else if (record.type === 'intent') {
      if (!leaves.has(record.call)) leaves.set(record.call, log.append(record));
    } else log.append(record);
  }
  log.sign();
  return log;
}

const audit = (log: LogInMemory): AuditReport => auditLog(log, { keys: [log.key] });
const isFoundByLedger = (log: LogInMemory): boolean => reconcile(log, written.ledger).findings.length > 0;

/** Does a witness that has seen 6,000 records of the true log refuse to cosign this one? */
function isFoundByWitness(log: LogInMemory): boolean {
  const { witnessed } = written;
  const leaves = log.leaves();
  const proof = leaves.length >= witnessed.size ? consistencyProof(witnessed.size, leaves) : [];
  const request = parseAddCheckpoint(formatAddCheckpoint(witnessed.size, proof, log.sign()));
  return request === undefined || !judgeCheckpoint(request, [log.key], witnessed).ok;
}

describe('a log of 10,000 records', () => {
  it('holds when nobody touched it', () => {
    expect(audit(written.log)).toMatchObject({ verdict: 'verified', records: RECORDS });
    expect(isFoundByWitness(written.log)).toBe(false);
    expect(reconcile(written.log, written.ledger)).toMatchObject({
      matched: written.ledger.length,
      findings: [],
    });
  });
});

describe('without the signing key', () => {
  it.each(Object.keys(MUTATIONS))('%s is found by the audit, which says where', (name) => {
    const report = audit(withoutKey(MUTATIONS[name] as Mutation));
    expect(report.verdict).toBe('failed');
    expect(report.findings[0]?.what).toMatch(/\d/);
  });
});

describe('with the stolen signing key and everything rebuilt', () => {
  const REORDERING = new Set(['two records swapped', 'a record replayed']);

  it.each(Object.keys(MUTATIONS).filter((name) => name !== 'a record replayed'))(
    '%s is refused by the witness',
    (name) => {
      expect(isFoundByWitness(withKey(MUTATIONS[name] as Mutation))).toBe(true);
    },
  );

  it.each(Object.keys(MUTATIONS).filter((name) => !REORDERING.has(name)))(
    '%s is found by the ledger of accepted credentials',
    (name) => {
      expect(isFoundByLedger(withKey(MUTATIONS[name] as Mutation))).toBe(true);
    },
  );

  it('a tail cut off above what the witness has seen is found by the ledger alone', () => {
    const cut = withKey({ change: (all) => all.slice(0, 8000) });
    expect(audit(cut).verdict).toBe('verified');
    expect(isFoundByWitness(cut)).toBe(false);
    const { findings } = reconcile(cut, written.ledger);
    expect(findings[0]?.what).toMatch(/credential \w{26} was accepted, but its intent is not in the log/);
  });

  it('an intent that takes the place of another is found by its credential', () => {
    const [first, second] = written.ledger;
    const swapped = [{ credential: first?.credential ?? '', intent: second?.intent ?? '' }];
    expect(reconcile(written.log, swapped).findings[0]?.what).toContain('is not the intent of its call');
  });
});
