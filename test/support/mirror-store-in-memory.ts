import { err, ok } from '../../src/base/index.ts';
import type {
  Alarm,
  AuditedHead,
  Batch,
  CompactRange,
  MirroredRecord,
  MirrorStore,
} from '../../src/intent-log/index.ts';

type Stored = {
  range: CompactRange;
  seen?: string;
  alarm?: Alarm;
  readonly records: MirroredRecord[];
  readonly heads: Map<string, AuditedHead>;
};

/** A store of mirrored logs that a test can look into, and that fails when it is told to. */
export type MirrorStoreInMemory = MirrorStore & {
  readonly logs: Map<string, Stored>;
  /** Called before each append; what it throws happens instead of it. */
  beforeAppend: (batch: Batch) => void;
  release(origin: string): void;
};

export function mirrorStoreInMemory(): MirrorStoreInMemory {
  const logs = new Map<string, Stored>();
  const of = (origin: string): Stored => {
    const known = logs.get(origin) ?? { range: { size: 0, hashes: [] }, records: [], heads: new Map() };
    logs.set(origin, known);
    return known;
  };
  return {
    logs,
    beforeAppend: () => undefined,
    release: (origin) => delete of(origin).alarm,
    async position(origin) {
      const { range, seen, alarm } = of(origin);
      return { range, ...(seen === undefined ? {} : { seen }), ...(alarm === undefined ? {} : { alarm }) };
    },
    async past({ origin, next, calls }) {
      const { records, heads } = of(origin);
      const said = records.map(({ record, leaf }) => ({ record, leaf }));
      const decided = new Set(
        said.flatMap(({ record }) =>
          record.type === 'intent' || record.type === 'refusal' ? [String(record.call)] : [],
        ),
      );
      const ended = new Set(said.flatMap(({ record }) => (record.type === 'outcome' ? [record.call] : [])));
      const open = said.flatMap(({ record, leaf }) =>
        record.type === 'intent' && !ended.has(record.call)
          ? [{ call: String(record.call), run: String(record.run), idx: record.idx, leaf }]
          : [],
      );
      const asked = open.filter(({ call }) => calls.includes(call));
      const closed = new Set(said.flatMap(({ record }) => (record.type === 'run.close' ? [record.run] : [])));
      return {
        next,
        head: (strand) => heads.get(strand),
        calls: {
          open: asked,
          openElsewhere: open.length - asked.length,
          wasDecided: (call) => decided.has(call),
        },
        openRuns: said.flatMap(({ record }) => {
          const head = record.type === 'run.open' ? heads.get(record.run) : undefined;
          if (record.type !== 'run.open' || head === undefined || closed.has(record.run)) return [];
          return [{ run: record.run, seq: head.seq, leaf: head.leaf }];
        }),
      };
    },
    async keyChanges(origin) {
      const changes = of(origin).records.filter(({ record }) => record.type === 'key.rotate');
      return changes.map(({ record, bytes }) => ({ idx: record.idx, bytes }));
    },
    async append(batch) {
      this.beforeAppend(batch);
      const stored = of(batch.origin);
      if (stored.range.size !== batch.from || stored.alarm !== undefined) return err('moved');
      stored.records.push(...batch.records);
      stored.range = batch.range;
      stored.seen = batch.seen;
      for (const [strand, head] of batch.heads) stored.heads.set(strand, head);
      return ok(undefined);
    },
    async keepSeen(origin, size, note) {
      const stored = of(origin);
      if (stored.range.size !== size || stored.alarm !== undefined) return err('moved');
      stored.seen = note;
      return ok(undefined);
    },
    async raise(origin, alarm) {
      of(origin).alarm ??= alarm;
    },
    async [Symbol.asyncDispose]() {},
  };
}
