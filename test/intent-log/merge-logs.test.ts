import { describe, expect, it } from 'vitest';
import type { RunId } from '../../src/base/index.ts';
import {
  buildCausalTree,
  type LogRecord,
  mergeLogs,
  type NewRecord,
  type OfLog,
} from '../../src/intent-log/index.ts';
import { intent, newCall, newRun, outcome, runClose, runOpen } from '../support/records.ts';

const [root, child] = [newRun(), newRun()];

function at(origin: string, idx: number, second: number, record: NewRecord): OfLog {
  const strand = 'run' in record && record.run !== undefined ? record.run : 'gateway';
  const envelope = { v: 2, idx, at: `2026-03-01T12:00:0${second}.000Z`, strand, seq: idx, prev: '' };
  return { origin, record: { ...envelope, ...record } as LogRecord };
}

function treeOf(records: readonly OfLog[], run: RunId) {
  const merged = mergeLogs(records);
  const origins = new Map(merged.map(({ record, origin }) => [record, origin]));
  return buildCausalTree(
    merged.map(({ record }) => record),
    run,
    (record) => origins.get(record),
  );
}

describe('logs put together', () => {
  it('keep the order of each, and take that of the clocks between them', () => {
    const merged = mergeLogs([
      at('b', 0, 2, { type: 'recovery', unknown: [] }),
      at('a', 1, 1, { type: 'recovery', unknown: [] }),
      at('b', 1, 3, { type: 'recovery', unknown: [] }),
      at('a', 0, 4, { type: 'recovery', unknown: [] }),
    ]);
    expect(merged.map(({ origin, record }) => `${origin}${record.idx}`)).toEqual(['b0', 'b1', 'a0', 'a1']);
  });

  it('show a run with strands at two gateways as one, also when their clocks disagree', () => {
    const [one, other] = [newCall(), newCall()];
    const tree = treeOf(
      [
        at('a', 0, 5, runOpen(root)),
        at('a', 1, 6, intent(root, one)),
        at('b', 0, 1, runOpen(child, { parent: root, root, depth: 1 })), // its clock is behind
        at('b', 1, 2, intent(root, other)),
        at('b', 2, 3, outcome(root, other, 'x')),
        at('b', 3, 7, runClose(root)),
      ],
      child,
    );
    expect(tree?.root.opened.run).toBe(root);
    expect(tree?.root.closed?.state).toBe('ended');
    expect(tree?.root.steps.map((step) => [step.kind, step.origin])).toEqual([
      ['run', 'b'],
      ['call', 'b'],
      ['call', 'a'],
    ]);
  });

  it('do not take what one says of a call for the outcome of a call in another', () => {
    const call = newCall();
    const tree = treeOf(
      [
        at('a', 0, 1, runOpen(root)),
        at('a', 1, 2, intent(root, call)),
        at('b', 0, 3, outcome(root, call, 'x', { status: 'ok' })),
      ],
      root,
    );
    expect(tree?.root.steps).toHaveLength(1);
    expect(tree?.root.steps[0]).not.toHaveProperty('outcome');
  });

  it('come to an end when they are forged to wait for each other', () => {
    const records = [
      at('a', 0, 1, intent(child, newCall())),
      at('a', 1, 1, runOpen(root, { parent: child })),
      at('b', 0, 1, intent(root, newCall())),
      at('b', 1, 1, runOpen(child, { parent: root, root })),
    ];
    expect(mergeLogs(records)).toHaveLength(4);
    expect(treeOf(records, root)?.asked).toBe(root);
  });
});
