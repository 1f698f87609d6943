import { hash } from 'node:crypto';
import type { Hash } from './merkle.ts';
import type { RecordHeader } from './record-header.ts';

/** The runs that are open at a place in the log, with the heads of their strands: what an epoch record commits to. */
export type OpenRuns = {
  add(record: Pick<RecordHeader, 'strand' | 'type' | 'seq'>, leaf: Hash): void;
  readonly size: number;
  /** SHA-256, base64url, over a line `<run> <seq> <leaf hash>\n` for each, sorted. */
  commit(): Hash;
};

type Head = { seq: number; leaf: Hash };

/** Starts from runs that are open already. */
export function createOpenRuns(open: Iterable<{ readonly run: string } & Readonly<Head>> = []): OpenRuns {
  const heads = new Map<string, Head>();
  for (const { run, seq, leaf } of open) heads.set(run, { seq, leaf });
  return {
    add({ strand, type, seq }, leaf) {
      if (type === 'run.close') {
        heads.delete(strand);
        return;
      }
      const head = heads.get(strand);
      if (head !== undefined) {
        head.seq = seq;
        head.leaf = leaf;
      } else if (type === 'run.open') {
        heads.set(strand, { seq, leaf });
      }
    },
    get size() {
      return heads.size;
    },
    commit() {
      const lines = Array.from(heads, ([run, { seq, leaf }]) => `${run} ${seq} ${leaf}\n`);
      return hash('sha256', lines.sort().join(''), 'base64url');
    },
  };
}
