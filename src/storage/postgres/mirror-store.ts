import { err, ok, type Result, SallyportError } from '../../base/index.ts';
import {
  type Alarm,
  type AlarmKind,
  type AuditedHead,
  type AuditedPast,
  type MirrorStore,
  type PastAsked,
  type Position,
  restoreRange,
  type StoredRecord,
} from '../../intent-log/index.ts';
import { storable } from './copy-rows.ts';
import { type Database, type DatabaseAddress, openDatabase, type Session } from './database.ts';
import { prepareTables } from './tables.ts';
import { writeBatch } from './write-batch.ts';

/** A mirror's store in PostgreSQL. Its tables are made at the first use that succeeds: the database may come later. */
export function openMirrorStore(address: DatabaseAddress): MirrorStore {
  const database = openDatabase(address);
  let isPrepared = false;
  const prepare = async (): Promise<void> => {
    if (!isPrepared) await prepareTables(database, address.schema);
    isPrepared = true;
  };
  return storeIn({
    during: async (work) => {
      await prepare();
      return database.during(work);
    },
    inTransaction: async (work) => {
      await prepare();
      return database.inTransaction(work);
    },
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  });
}

function storeIn(database: Database): MirrorStore {
  return {
    position: (origin) => database.during((session) => readPosition(session, origin)),
    past: (asked) => database.during((session) => readPast(session, asked)),
    keyChanges: (origin) => database.during((session) => readKeyChanges(session, origin)),
    append: (batch) =>
      database.inTransaction(async (session) => {
        const id = await hold(session, batch.origin, batch.from);
        if (id === undefined) return err('moved');
        await writeBatch(session, id, batch);
        await session.query(
          'UPDATE origins SET size = $2, frontier = $3, seen = $4, seen_at = now() WHERE id = $1',
          [id, batch.range.size, batch.range.hashes.join(' '), batch.seen],
        );
        return ok(undefined);
      }),
    keepSeen: (origin, size, note) =>
      database.inTransaction(async (session): Promise<Result<void, 'moved'>> => {
        const id = await hold(session, origin, size);
        if (id === undefined) return err('moved');
        await session.query(
          `UPDATE origins SET seen = $2, seen_at = now()
           WHERE id = $1 AND (seen IS DISTINCT FROM $2 OR seen_at < now() - interval '10 seconds')`,
          [id, note],
        );
        return ok(undefined);
      }),
    raise: (origin, { kind, detail, note }) =>
      database.inTransaction(async (session) => {
        await session.query('INSERT INTO origins (origin) VALUES ($1) ON CONFLICT DO NOTHING', [origin]);
        await session.query(
          `INSERT INTO alarms (origin, kind, detail, note) SELECT id, $2, $3, $4 FROM origins WHERE origin = $1
           ON CONFLICT DO NOTHING`,
          [origin, kind, storable(detail), storable(note)],
        );
      }),
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  };
}

/** Locks an origin until the end of the transaction; undefined when it is not of that size or stopped. */
async function hold(session: Session, origin: string, size: number): Promise<number | undefined> {
  const lock = () => session.query('SELECT id, size FROM origins WHERE origin = $1 FOR UPDATE', [origin]);
  let { rows } = await lock();
  if (rows.length === 0) {
    await session.query('INSERT INTO origins (origin) VALUES ($1) ON CONFLICT DO NOTHING', [origin]);
    ({ rows } = await lock());
  }
  const held = rows[0] as { id: number; size: string } | undefined;
  if (held === undefined || Number(held.size) !== size) return undefined;
  const standing = await session.query('SELECT 1 FROM alarms WHERE origin = $1 AND released_at IS NULL', [
    held.id,
  ]);
  return standing.rows.length === 0 ? held.id : undefined;
}

type PositionRow = {
  readonly size: string;
  readonly frontier: string;
  readonly seen: string | null;
  readonly kind: AlarmKind | null;
  readonly detail: string;
  readonly note: string;
};

async function readPosition(session: Session, origin: string): Promise<Position> {
  const { rows } = await session.query(
    `SELECT size, frontier, seen, kind, detail, note FROM origins
     LEFT JOIN alarms ON alarms.origin = origins.id AND released_at IS NULL WHERE origins.origin = $1`,
    [origin],
  );
  const row = rows[0] as PositionRow | undefined;
  if (row === undefined) return { range: { size: 0, hashes: [] } };
  const range = restoreRange(Number(row.size), row.frontier === '' ? [] : row.frontier.split(' '));
  if (range === undefined) {
    throw new SallyportError(
      'ERR_STATE_UNAVAILABLE',
      'the position in the database of the mirror is damaged; use another schema, and it is filled anew',
    );
  }
  const { kind, detail, note } = row;
  return {
    range,
    ...(row.seen === null ? {} : { seen: row.seen }),
    ...(kind === null ? {} : { alarm: { kind, detail, note } satisfies Alarm }),
  };
}

async function readKeyChanges(session: Session, origin: string): Promise<StoredRecord[]> {
  const { rows } = await session.query(
    `SELECT idx, bytes FROM records WHERE origin = (SELECT id FROM origins WHERE origin = $1)
     AND terms @> ARRAY['type=key.rotate'] ORDER BY idx`,
    [origin],
  );
  return (rows as { idx: string; bytes: Buffer }[]).map(({ idx, bytes }) => ({ idx: Number(idx), bytes }));
}

type HeadRow = { strand: string; idx: string; seq: string; leaf: string; is_closed: boolean };
type CallRow = {
  call: string;
  run: string | null;
  idx: string;
  leaf: string;
  is_intent: boolean;
  outcome: string | null;
};

async function readPast(session: Session, asked: PastAsked): Promise<AuditedPast> {
  const { origin, strands, calls, withOpen, next } = asked;
  const own = '(SELECT id FROM origins WHERE origin = $1)';
  const heads = await session.query(
    `SELECT strand, idx, seq, leaf, is_closed FROM strands WHERE origin = ${own} AND strand = ANY ($2)`,
    [origin, strands],
  );
  const known = await session.query(
    `SELECT call, run, idx, leaf, is_intent, outcome FROM calls WHERE origin = ${own} AND call = ANY ($2)`,
    [origin, calls],
  );
  const byStrand = new Map((heads.rows as HeadRow[]).map((row) => [row.strand, toHead(row)]));
  const rows = known.rows as CallRow[];
  const decided = new Set(rows.map(({ call }) => call));
  const open = rows
    .filter((row) => row.is_intent && row.outcome === null)
    .map(({ call, run, idx, leaf }) => ({ call, run: run ?? '', idx: Number(idx), leaf }));
  const all = withOpen ? await readOpen(session, own, origin) : { intents: open.length, runs: [] };
  return {
    next,
    head: (strand) => byStrand.get(strand),
    calls: { open, openElsewhere: all.intents - open.length, wasDecided: (call) => decided.has(call) },
    openRuns: all.runs,
  };
}

async function readOpen(session: Session, own: string, origin: string) {
  const intents = await session.query(
    `SELECT count(*) AS n FROM calls WHERE origin = ${own} AND is_intent AND outcome IS NULL`,
    [origin],
  );
  const runs = await session.query(
    `SELECT run, seq, leaf FROM strands JOIN runs ON runs.origin = strands.origin AND run = strand
     WHERE strands.origin = ${own} AND NOT is_closed`,
    [origin],
  );
  return {
    intents: Number((intents.rows[0] as { n: string }).n),
    runs: (runs.rows as { run: string; seq: string; leaf: string }[]).map(({ run, seq, leaf }) => ({
      run,
      seq: Number(seq),
      leaf,
    })),
  };
}

function toHead({ idx, seq, leaf, is_closed }: HeadRow): AuditedHead {
  return { idx: Number(idx), seq: Number(seq), leaf, isClosed: is_closed };
}
