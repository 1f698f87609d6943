import { describe, expect, it } from 'vitest';
import { buildCausalTree, decodeRecord, type LogRecord } from '../../src/intent-log/index.ts';
import { LogInMemory } from '../support/log-in-memory.ts';
import { intent, newCall, newRun, outcome, refusal, runClose, runOpen } from '../support/records.ts';

function decodeAll(log: LogInMemory): LogRecord[] {
  return log.stored.map(({ bytes }) => {
    const decoded = decodeRecord(bytes);
    if (!decoded.ok) throw new Error(decoded.error.reason);
    return decoded.value;
  });
}

const [root, child, stranger] = [newRun(), newRun(), newRun()];
const [first, inChild, denied, early, open] = [newCall(), newCall(), newCall(), newCall(), newCall()];

function story(): LogInMemory {
  const log = new LogInMemory();
  log.append(runOpen(root));
  log.append(runOpen(stranger));
  const firstLeaf = log.append(intent(root, first, { labels: ['untrusted'] }));
  log.append(outcome(root, first, firstLeaf));
  log.append(refusal(root, denied));
  log.append(runOpen(child, { parent: root, root, depth: 1, purpose: 'lookup' }));
  const childLeaf = log.append(intent(child, inChild));
  log.append(intent(stranger, newCall()));
  log.append(outcome(child, inChild, childLeaf, { status: 'unknown', detail: 'crash' }));
  log.append(runClose(child, { by: 'parent' }));
  log.append(intent(root, open));
  log.append(runClose(root));
  log.append({ type: 'refusal', call: early, run: root, early: { reason: 'run_over' }, micros: 90 });
  return log;
}

describe('the causal tree', () => {
  it('shows what a run did in order, with its sub-agents where they began', () => {
    const tree = buildCausalTree(decodeAll(story()), root);
    expect(tree?.root.opened.run).toBe(root);
    expect(tree?.root.closed).toMatchObject({ state: 'ended', by: 'agent', reason: 'done' });
    expect(tree?.root.steps).toMatchObject([
      {
        kind: 'call',
        call: first,
        effect: 'permit',
        policies: ['read-inbox'],
        subject: { upstream: 'ops', tool: 'list_inbox' },
        labels: ['untrusted'],
        outcome: { status: 'ok', credential: first, micros: 12_300 },
      },
      { kind: 'call', call: denied, effect: 'forbid', code: 'forbidden_by_policy', micros: 400 },
      {
        kind: 'run',
        opened: { run: child, purpose: 'lookup' },
        closed: { by: 'parent' },
        steps: [{ call: inChild, outcome: { status: 'unknown', detail: 'crash' } }],
      },
      { kind: 'call', call: open, effect: 'permit' },
      { kind: 'call', call: early, effect: 'refused', reason: 'run_over' },
    ]);
    const [, , , underWay] = tree?.root.steps ?? [];
    expect(underWay).not.toHaveProperty('outcome');
  });

  it('starts at the root also when asked for a child', () => {
    const tree = buildCausalTree(decodeAll(story()), child);
    expect(tree).toMatchObject({ asked: child, root: { opened: { run: root } } });
  });

  it('has nothing of runs outside the tree', () => {
    expect(JSON.stringify(buildCausalTree(decodeAll(story()), root))).not.toContain(stranger);
  });

  it('does not exist for a run that the log does not know', () => {
    expect(buildCausalTree(decodeAll(story()), newRun())).toBeUndefined();
  });

  it('ends at a forged circle of parents', () => {
    const [a, b] = [newRun(), newRun()];
    const log = new LogInMemory();
    log.append(runOpen(a, { parent: b }));
    log.append(runOpen(b, { parent: a }));
    const tree = buildCausalTree(decodeAll(log), b);
    expect(tree?.root.opened.run).toBe(a);
  });
});
