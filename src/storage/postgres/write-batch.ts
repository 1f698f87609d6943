import {
  type Batch,
  indexedTermsOf,
  type LogRecord,
  type MirroredRecord,
  termsOf,
} from '../../intent-log/index.ts';
import { cell, copyRows, storable } from './copy-rows.ts';
import type { Session } from './database.ts';

/** Longest id of a run that a record may claim and that still goes into an index. */
const MAX_ID = 64;

/** Writes all that a batch adds but the position. The caller has a transaction open and holds the origin. */
export async function writeBatch(session: Session, origin: number, batch: Batch): Promise<void> {
  await copyRows(
    session,
    'records (origin, idx, at, strand, call, terms, bytes)',
    rowsOf(origin, batch.records),
  );
  await writeHeads(session, origin, batch);
  await writeCalls(session, origin, batch.records);
  await writeRuns(session, origin, batch.records);
}

function* rowsOf(origin: number, records: readonly MirroredRecord[]): Generator<(Buffer | null)[]> {
  for (const { bytes, record } of records) {
    yield [
      cell.integer(origin),
      cell.bigint(record.idx),
      cell.timestamptz(Date.parse(record.at)),
      cell.text(record.strand),
      'call' in record ? cell.text(idOf(record.call)) : null,
      cell.textArray(storedTermsOf(record)),
      cell.bytea(bytes),
    ];
  }
}

/** An erasure is found by the runs it is about, which no column names. */
function storedTermsOf(record: LogRecord): string[] {
  return record.type === 'erasure' ? termsOf(record) : indexedTermsOf(record);
}

async function writeHeads(session: Session, origin: number, { heads }: Batch): Promise<void> {
  const all = [...heads];
  await session.query(
    `INSERT INTO strands (origin, strand, idx, seq, leaf, is_closed)
     SELECT $1, * FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::boolean[])
     ON CONFLICT (origin, strand) DO UPDATE
     SET idx = excluded.idx, seq = excluded.seq, leaf = excluded.leaf, is_closed = excluded.is_closed`,
    [
      origin,
      all.map(([strand]) => strand),
      all.map(([, { idx }]) => idx),
      all.map(([, { seq }]) => seq),
      all.map(([, { leaf }]) => leaf),
      all.map(([, { isClosed }]) => isClosed),
    ],
  );
}

async function writeCalls(
  session: Session,
  origin: number,
  records: readonly MirroredRecord[],
): Promise<void> {
  const decided = records.flatMap(({ record, leaf }) =>
    record.type === 'intent' || record.type === 'refusal' ? [{ record, leaf }] : [],
  );
  await session.query(
    `INSERT INTO calls (origin, call, idx, run, leaf, is_intent)
     SELECT $1, * FROM unnest($2::text[], $3::bigint[], $4::text[], $5::text[], $6::boolean[])`,
    [
      origin,
      decided.map(({ record }) => idOf(record.call)),
      decided.map(({ record }) => record.idx),
      decided.map(({ record }) => (record.run === undefined ? null : idOf(record.run))),
      decided.map(({ leaf }) => leaf),
      decided.map(({ record }) => record.type === 'intent'),
    ],
  );
  const ended = records.flatMap(({ record }) => (record.type === 'outcome' ? [record] : []));
  await session.query(
    `UPDATE calls SET outcome = ended.idx FROM unnest($2::text[], $3::bigint[]) AS ended (call, idx)
     WHERE origin = $1 AND calls.call = ended.call AND is_intent`,
    [origin, ended.map(({ call }) => idOf(call)), ended.map(({ idx }) => idx)],
  );
}

async function writeRuns(
  session: Session,
  origin: number,
  records: readonly MirroredRecord[],
): Promise<void> {
  const opened = records.flatMap(({ record }) => (record.type === 'run.open' ? [record] : []));
  await session.query(
    `INSERT INTO runs (origin, run, root, opened_at, idx)
     SELECT $1, * FROM unnest($2::text[], $3::text[], $4::timestamptz[], $5::bigint[])`,
    [
      origin,
      opened.map(({ run }) => idOf(run)),
      opened.map(({ root }) => idOf(root)),
      opened.map(({ at }) => at),
      opened.map(({ idx }) => idx),
    ],
  );
  const facts = [...factsOf(records)];
  await session.query(
    `INSERT INTO run_facts (origin, run, calls, denials, state)
     SELECT $1, * FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::text[])
     ON CONFLICT (run, origin) DO UPDATE SET calls = run_facts.calls + excluded.calls,
       denials = run_facts.denials + excluded.denials, state = coalesce(excluded.state, run_facts.state)`,
    [
      origin,
      facts.map(([run]) => run),
      facts.map(([, { calls }]) => calls),
      facts.map(([, { denials }]) => denials),
      facts.map(([, { state }]) => state),
    ],
  );
}

type Facts = { calls: number; denials: number; state: string | null };

function factsOf(records: readonly MirroredRecord[]): Map<string, Facts> {
  const runs = new Map<string, Facts>();
  for (const { record } of records) {
    if (!('run' in record) || record.run === undefined) continue;
    const run = idOf(record.run);
    const facts = runs.get(run) ?? { calls: 0, denials: 0, state: null };
    runs.set(run, facts);
    if (record.type === 'intent') facts.calls++;
    else if (record.type === 'refusal' && record.decision !== undefined) facts.denials++;
    else if (record.type === 'run.close') facts.state = record.state;
  }
  return runs;
}

function idOf(id: string): string {
  return storable(id).slice(0, MAX_ID);
}
