import { expect, it } from 'vitest';
import { auditLog, createOpenRuns, type RecordBody } from '../../src/intent-log/index.ts';
import { LogInMemory } from '../support/log-in-memory.ts';
import { intent, newCall, newRun, outcome, runClose, runOpen } from '../support/records.ts';

/** One run is open with one call under way, another one is over; signed, whatever the epoch record says. */
function logWith(epoch: (heads: string) => RecordBody): LogInMemory {
  const log = new LogInMemory();
  const [open, over] = [newRun(), newRun()];
  log.append(runOpen(open));
  log.append(runOpen(over));
  const done = newCall();
  const leaf = log.append(intent(over, done));
  log.append(outcome(over, done, leaf));
  log.append(runClose(over));
  const head = log.append(intent(open, newCall()));
  log.append(epoch(createOpenRuns([{ run: open, seq: 1, leaf: head }]).commit()));
  log.append(runOpen(newRun()));
  log.sign();
  return log;
}

it('finds nothing in an epoch record that fits', () => {
  const log = logWith((heads) => ({ type: 'epoch', runs: 1, heads, inFlight: 1 }));
  expect(auditLog(log, { keys: [log.key] })).toMatchObject({ verdict: 'verified', findings: [] });
});

it.each<[string, (heads: string) => RecordBody]>([
  ['a run too many', (heads) => ({ type: 'epoch', runs: 2, heads, inFlight: 1 })],
  ['a run too few', () => ({ type: 'epoch', runs: 0, heads: createOpenRuns().commit(), inFlight: 1 })],
  ['another head', () => ({ type: 'epoch', runs: 1, heads: 'A'.repeat(43), inFlight: 1 })],
])('finds an epoch record with %s, also when everything was signed again', (_, epoch) => {
  const log = logWith(epoch);
  const { verdict, findings } = auditLog(log, { keys: [log.key] });
  expect(verdict).toBe('failed');
  expect(findings).toEqual([
    { kind: 'broken', idx: 6, what: 'record 6 (epoch) knows other open runs than the log has: 1 are open' },
  ]);
});

it('finds an epoch record that hides a call under way', () => {
  const log = logWith((heads) => ({ type: 'epoch', runs: 1, heads, inFlight: 0 }));
  expect(auditLog(log, { keys: [log.key] })).toMatchObject({
    verdict: 'failed',
    findings: [{ kind: 'broken', idx: 6, what: expect.stringContaining('calls under way: 1 are') }],
  });
});

it('finds a whole run taken out, with the chain and the tree made anew with the stolen key', () => {
  const whole = logWith((heads) => ({ type: 'epoch', runs: 1, heads, inFlight: 1 }));
  const forged = new LogInMemory();
  const bodies = whole.stored.map(({ bytes }) => JSON.parse(Buffer.from(bytes).toString()) as RecordBody);
  const [victim] = bodies.flatMap((body) => (body.type === 'run.open' ? [body.run] : []));
  for (const body of bodies) if (!('run' in body) || body.run !== victim) forged.append(body);
  forged.sign();
  expect(auditLog(forged, { keys: [forged.key] })).toMatchObject({ verdict: 'failed' });
});
