import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RunId } from '../../src/base/index.ts';
import { type AuditReport, auditLog, decodeRecord } from '../../src/intent-log/index.ts';
import { LogInMemory, newSigner } from '../support/log-in-memory.ts';
import { intent, newCall, newRun, outcome, refusal, runClose, runOpen } from '../support/records.ts';

/** Three runs, each with calls and a refusal, interleaved; a checkpoint after every ten records and at the end. */
function writtenLog(callsPerRun = 6): LogInMemory {
  const log = new LogInMemory();
  const runs = [newRun(), newRun(), newRun()];
  const append = (...args: Parameters<LogInMemory['append']>): string => {
    const leaf = log.append(...args);
    if (log.stored.length % 10 === 0) log.sign();
    return leaf;
  };
  append({ type: 'boot', version: '0.1.0', config: 'digest' });
  for (const run of runs) append(runOpen(run));
  for (let i = 0; i < callsPerRun; i++) {
    const open = runs.map((run): [RunId, ReturnType<typeof newCall>, string] => {
      const call = newCall();
      return [run, call, append(intent(run, call))];
    });
    for (const [run, call, leaf] of open) append(outcome(run, call, leaf));
  }
  for (const run of runs) append(refusal(run, newCall()));
  for (const run of runs) append(runClose(run));
  log.sign();
  return log;
}

const audit = (log: LogInMemory): AuditReport => auditLog(log, { keys: [log.key] });

function change(log: LogInMemory, idx: number, edit: (text: string) => string): void {
  const record = log.stored[idx];
  if (record === undefined) throw new Error('no such record');
  log.stored[idx] = { idx: record.idx, bytes: Buffer.from(edit(Buffer.from(record.bytes).toString())) };
}

function renumber(log: LogInMemory): void {
  log.stored = log.stored.map(({ bytes }, idx) => ({ idx, bytes }));
}

/** Every index that a finding speaks of, in words or as its place. */
function namedIn({ findings }: AuditReport): string {
  return findings.map(({ idx, what }) => `${idx} ${what}`).join('\n');
}

describe('the audit of an untouched log', () => {
  it('verifies it and says up to where', () => {
    const log = writtenLog();
    const report = audit(log);
    expect(report).toMatchObject({
      verdict: 'verified',
      findings: [],
      records: log.stored.length,
      checkpoint: { origin: 'agents.example.org/log', size: log.stored.length },
      counts: { intents: 18, outcomes: 18, refusals: 3 },
      open: [],
    });
  });

  it('lists intents without an outcome and still verifies', () => {
    const log = new LogInMemory();
    const [run, call] = [newRun(), newCall()];
    log.append(runOpen(run));
    log.append(intent(run, call));
    log.sign();
    expect(audit(log)).toMatchObject({ verdict: 'verified', open: [{ call, run, idx: 1 }] });
  });

  it('cannot decide without a checkpoint', () => {
    const log = writtenLog();
    log.notes = [];
    expect(audit(log)).toMatchObject({ verdict: 'undecided', findings: [{ kind: 'unclear' }] });
  });

  it('cannot decide about records that no checkpoint covers, and says from where', () => {
    const log = writtenLog();
    const size = log.stored.length;
    log.append({ type: 'boot', version: '0.1.0', config: 'digest' });
    const report = audit(log);
    expect(report).toMatchObject({ verdict: 'undecided', checkpoint: { size } });
    expect(report.findings).toEqual([
      { kind: 'unclear', idx: size, what: `record ${size} is not covered by any checkpoint yet` },
    ]);
    expect(auditLog(log, { keys: [log.key], upTo: size }).verdict).toBe('verified');
  });

  it('cannot decide about a version it does not know', () => {
    const log = new LogInMemory();
    log.append({ type: 'boot', version: '0.1.0', config: 'digest' });
    change(log, 0, (text) => text.replace('"v":2', '"v":3'));
    log.sign();
    expect(audit(log)).toMatchObject({ verdict: 'undecided', findings: [{ idx: 0 }] });
  });

  it('reads records of version 1, among newer ones too', () => {
    const log = new LogInMemory();
    log.append({ type: 'boot', version: '0.1.0', config: 'digest' });
    change(log, 0, (text) => text.replace('"v":2', '"v":1'));
    log.sign();
    expect(audit(log)).toMatchObject({ verdict: 'verified', records: 1 });
    const input = { digest: 'x', bytes: 3 };
    const bridge = { from: 'a', to: 'b', method: 'tools/call', call: newCall(), input };
    const older = new LogInMemory();
    older.append({ ...refusal(newRun(), newCall()), bridge });
    change(older, 0, (text) => text.replace('"v":2', '"v":1'));
    expect(decodeRecord(older.stored[0]?.bytes ?? Buffer.from(''))).toMatchObject({
      ok: true,
      value: { v: 1, bridge: { input } },
    });
  });
});

describe('the audit finds, without the signing key', () => {
  it('any changed byte of any record', () => {
    const written = writtenLog();
    fc.assert(
      fc.property(fc.nat(), fc.nat(), fc.integer({ min: 1, max: 255 }), (pick, place, mask) => {
        const log = Object.assign(Object.create(LogInMemory.prototype) as LogInMemory, written);
        log.stored = [...written.stored];
        const idx = pick % log.stored.length;
        const bytes = Buffer.from(log.stored[idx]?.bytes ?? []);
        const at = place % bytes.length;
        bytes[at] = (bytes[at] ?? 0) ^ mask;
        log.stored[idx] = { idx, bytes };
        const report = audit(log);
        expect(report.verdict).toBe('failed');
        const range = report.findings.find(({ what }) => what.includes('add up'));
        expect(range?.idx).toBeLessThanOrEqual(idx);
      }),
      { numRuns: 300 },
    );
  });

  it('an edited record, naming it by the hash that its successor holds', () => {
    const log = writtenLog();
    change(log, 5, (text) => text.replace('list_inbox', 'send_money'));
    expect(namedIn(audit(log))).toMatch(/record 5 does not have the hash that record \d+, next in strand/);
  });

  it('an edited record that is the last of its strand, naming the stretch it is in', () => {
    const log = writtenLog();
    const last = log.stored.length - 1;
    const before = [...log.notes].map(({ size }) => size).at(-2) ?? 0;
    change(log, last, (text) => text.replace('"by":"agent"', '"by":"human"'));
    expect(namedIn(audit(log))).toContain(`records ${before} to ${last} do not add up`);
  });

  it('a deleted record', () => {
    const log = writtenLog();
    log.stored.splice(12, 1);
    expect(namedIn(audit(log))).toContain('record 12 is missing');
  });

  it('a deleted record when the rest was moved up', () => {
    const log = writtenLog();
    log.stored.splice(12, 1);
    renumber(log);
    const report = audit(log);
    expect(report.verdict).toBe('failed');
    expect(namedIn(report)).toContain('record 12 says it is record 13');
  });

  it('two swapped records', () => {
    const log = writtenLog();
    const [a, b] = [log.stored[7], log.stored[8]];
    if (a === undefined || b === undefined) throw new Error('too short');
    log.stored[7] = { idx: 7, bytes: b.bytes };
    log.stored[8] = { idx: 8, bytes: a.bytes };
    const report = audit(log);
    expect(report.verdict).toBe('failed');
    expect(namedIn(report)).toContain('record 7 says it is record 8');
  });

  it('an inserted record', () => {
    const log = writtenLog();
    const forged = { idx: 9, bytes: Buffer.from(log.stored[9]?.bytes ?? []) };
    log.stored.splice(9, 0, forged);
    renumber(log);
    const report = audit(log);
    expect(report.verdict).toBe('failed');
    expect(namedIn(report)).toContain('record 10 says it is record 9');
  });

  it('a tail that was cut off', () => {
    const log = writtenLog();
    const size = log.stored.length;
    log.stored.length = size - 3;
    expect(namedIn(audit(log))).toContain(
      `records ${size - 3} to ${size - 1} are missing: a checkpoint of size ${size} was signed`,
    );
  });

  it('a tail that was cut off with its checkpoints, given one that was kept elsewhere', () => {
    const log = writtenLog();
    const known = log.notes.at(-1)?.note ?? '';
    const earlier = log.notes[0]?.size ?? 0;
    log.stored.length = earlier;
    log.notes.length = 1;
    expect(audit(log).verdict).toBe('verified'); // nothing inside the log can tell
    const report = auditLog(log, { keys: [log.key], known });
    expect(report.verdict).toBe('failed');
    expect(report.findings[0]?.idx).toBe(earlier);
  });

  it('a log that was written anew, given a checkpoint that was kept elsewhere', () => {
    const signer = newSigner('agents.example.org/log');
    const [log, forged] = [new LogInMemory('', signer), new LogInMemory('', signer)];
    for (const each of [log, forged]) {
      const version = each === log ? '0.1.0' : '0.1.1';
      each.append({ type: 'boot', version, config: 'digest' });
      each.sign();
    }
    expect(audit(forged).verdict).toBe('verified'); // with the stolen key nothing inside the log can tell
    const known = log.notes[0]?.note ?? '';
    expect(auditLog(forged, { keys: [forged.key], known })).toMatchObject({ verdict: 'failed' });
  });

  it('a checkpoint of another log or key', () => {
    const log = writtenLog();
    const stranger = auditLog(log, { keys: [writtenLog().key] });
    expect(stranger.verdict).toBe('failed');
    expect(namedIn(stranger)).toContain('is not signed with the given key');
  });

  it('a checkpoint filed under another size', () => {
    const log = writtenLog();
    const newest = log.notes.pop();
    log.notes.push({ size: (newest?.size ?? 0) - 1, note: newest?.note ?? '' });
    expect(audit(log).verdict).toBe('failed');
  });
});

describe('the audit finds what even a signed log must not have', () => {
  const [run, call] = [newRun(), newCall()];
  function signed(write: (log: LogInMemory) => void): string {
    const log = new LogInMemory();
    log.append(runOpen(run));
    write(log);
    log.sign();
    const report = audit(log);
    expect(report.verdict).toBe('failed');
    return namedIn(report);
  }

  it('an outcome without an intent', () => {
    expect(signed((log) => log.append(outcome(run, call, 'x'.repeat(43))))).toContain(
      'which has no open intent',
    );
  });

  it('a second outcome', () => {
    const found = signed((log) => {
      const leaf = log.append(intent(run, call));
      log.append(outcome(run, call, leaf));
      log.append(outcome(run, call, leaf));
    });
    expect(found).toContain('record 3 is an outcome');
  });

  it('an outcome that names another intent', () => {
    const found = signed((log) => {
      log.append(intent(run, call));
      log.append(outcome(run, call, 'x'.repeat(43)));
    });
    expect(found).toContain('for another intent than record 1');
  });

  it('a second intent and a refusal of a permitted call', () => {
    const found = signed((log) => {
      log.append(intent(run, call));
      log.append(intent(run, call));
      log.append(refusal(run, call));
    });
    expect(found).toContain('record 2 is a second intent');
    expect(found).toContain('record 3 refuses call');
  });
});

it('keeps the first findings only, so that a ruined log does not drown the reader', () => {
  const log = writtenLog(40);
  for (let i = 0; i < log.stored.length; i++) change(log, i, (text) => text.replace('{"v"', '{"w"'));
  expect(audit(log).findings).toHaveLength(20);
});

describe('the audit finds in a log that was signed as it is', () => {
  const found = (write: (log: LogInMemory, run: RunId) => void): AuditReport => {
    const log = new LogInMemory();
    const run = newRun();
    log.append(runOpen(run));
    write(log, run);
    log.sign();
    return audit(log);
  };

  it('a call that is refused twice', () => {
    const call = newCall();
    const report = found((log, run) => {
      log.append(refusal(run, call));
      log.append(refusal(run, call));
    });
    expect(report).toMatchObject({ verdict: 'failed', findings: [{ idx: 2 }] });
  });

  it('a call id that is used again after its outcome', () => {
    const call = newCall();
    const report = found((log, run) => {
      log.append(outcome(run, call, log.append(intent(run, call))));
      log.append(intent(run, call));
    });
    expect(report).toMatchObject({ verdict: 'failed', findings: [{ idx: 3 }] });
    expect(report.findings[0]?.what).toContain('decided before');
  });

  it('a refusal of a call that had its outcome', () => {
    const call = newCall();
    const report = found((log, run) => {
      log.append(outcome(run, call, log.append(intent(run, call))));
      log.append(refusal(run, call));
    });
    expect(report).toMatchObject({ verdict: 'failed', findings: [{ idx: 3 }] });
  });

  it('an intent after the end of its run, but no outcome or refusal that comes late', () => {
    const [late, call] = [newCall(), newCall()];
    const report = found((log, run) => {
      const leaf = log.append(intent(run, late));
      log.append(runClose(run));
      log.append(outcome(run, late, leaf, { status: 'cancelled' }));
      log.append(refusal(run, newCall()));
      log.append(intent(run, call));
    });
    expect(report).toMatchObject({ verdict: 'failed', findings: [{ idx: 5 }] });
  });

  it('a second end, a second beginning, and records of a run that was never issued', () => {
    const report = found((log, run) => {
      log.append(runClose(run));
      log.append(runClose(run));
      log.append(runOpen(run));
      log.append(refusal(newRun(), newCall()));
    });
    expect(report.findings.map(({ idx }) => idx)).toEqual([2, 3, 4]);
  });
});

describe('the audit of erasures', () => {
  const erasure = (run: RunId) =>
    ({ type: 'erasure', runs: [run], parts: 2, by: 'robin', reason: 'request 12' }) as const;

  it('names the runs and the records that say so, the first 1,000', () => {
    const log = writtenLog();
    const first = log.stored.length;
    for (let i = 0; i < 1001; i++) log.append(erasure(newRun()));
    log.sign();
    const { verdict, erased } = audit(log);
    expect(verdict).toBe('verified');
    expect(erased).toHaveLength(1000);
    expect(erased[0]?.idx).toBe(first);
  });

  it('finds a record that reads otherwise the second time', () => {
    const log = writtenLog();
    const idx = log.stored.length;
    log.append(erasure(newRun()));
    log.sign();
    const forged = new LogInMemory();
    forged.stored = [...log.stored];
    change(forged, idx, (text) => text.replace(/"runs":\["[^"]+"/, `"runs":["${newRun()}"`));
    const twoFaced = {
      records: (from: number) => (from === 0 ? log : forged).records(from),
      checkpoints: () => log.checkpoints(),
    };
    expect(auditLog(twoFaced, { keys: [log.key] })).toMatchObject({
      verdict: 'failed',
      erased: [],
      findings: [{ idx, what: expect.stringContaining('does not say which runs were erased') }],
    });
  });
});
