import { setTimeout as sleep } from 'node:timers/promises';
import { type RunId, SallyportError } from '../../base/index.ts';
import {
  buildCausalTree,
  decodeRecord,
  type Filter,
  type Found,
  fits,
  isIndexed,
  type ListedRun,
  type LogQueries,
  type LogRecord,
  mergeLogs,
  type OfLog,
} from '../../intent-log/index.ts';
import { storable } from './copy-rows.ts';
import { type DatabaseAddress, openDatabase, type Session } from './database.ts';

const PAGE = 256;
const POLL = 500;
/** Requests, when a filter does not say otherwise. */
const REQUESTS = ['type=intent', 'type=refusal'];

/** Answers from what a mirror has stored of all its logs; a role that may only read is enough. */
export function openMirrorQueries(address: DatabaseAddress): LogQueries {
  const database = openDatabase(address);
  return {
    runs: (limit) => database.during((session) => readRuns(session, limit)),
    tree: (run) =>
      database.during(async (session) => {
        const merged = mergeLogs(await readTree(session, run));
        const origins = new Map(merged.map(({ record, origin }) => [record, origin]));
        const records = merged.map(({ record }) => record);
        return buildCausalTree(records, run, (record) => origins.get(record));
      }),
    async *find(filter) {
      for (let after: Row | undefined; ; ) {
        const last = after;
        const page = await database.during((session) => readPage(session, filter, last));
        for (const row of page) {
          const found = toFound(row);
          if (fits(found.record, filter) && hasStatus(found, filter)) yield found;
        }
        after = page.at(-1);
        if (page.length < PAGE) return;
      }
    },
    async *follow(filter, signal) {
      const next = await database.during(readEnds);
      while (!signal.aborted) {
        const rows = await database.during((session) => readNewer(session, next));
        for (const row of rows) {
          next.set(row.id, Number(row.idx) + 1);
          const found = toFound(row);
          if (fits(found.record, filter)) yield found;
        }
        if (rows.length === 0) await sleep(POLL, undefined, { signal }).catch(() => undefined);
      }
    },
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  };
}

type Row = {
  readonly id: number;
  readonly origin: string;
  readonly idx: string;
  /** Microseconds and all, as the database spells it. */
  readonly at: string;
  readonly bytes: Buffer;
  readonly outcome: Buffer | null;
};

const FOUND = `SELECT origins.id, origins.origin, records.idx, records.at::text AS at, records.bytes,
  ended.bytes AS outcome FROM records JOIN origins ON origins.id = records.origin
  LEFT JOIN calls ON calls.origin = records.origin AND calls.call = records.call AND calls.idx = records.idx
  LEFT JOIN records AS ended ON ended.origin = records.origin AND ended.idx = calls.outcome`;

async function readPage(session: Session, filter: Filter, after: Row | undefined): Promise<Row[]> {
  const values: unknown[] = [];
  const put = (value: unknown): string => `$${values.push(value)}`;
  const conditions = conditionsOf(filter, put);
  if (after !== undefined) {
    const [at, id, idx] = [put(after.at), put(after.id), put(after.idx)];
    const sameTime = `records.origin > ${id} OR (records.origin = ${id} AND records.idx < ${idx})`;
    conditions.push(
      `(records.at < ${at}::timestamptz OR (records.at = ${at}::timestamptz AND (${sameTime})))`,
    );
  }
  const { rows } = await session.query(
    `${FOUND} WHERE ${conditions.join(' AND ')}
     ORDER BY records.at DESC, records.origin, records.idx DESC LIMIT ${PAGE}`,
    values,
  );
  return rows as Row[];
}

/** What the database can tell. All the rest of a filter is seen in the records. */
function conditionsOf(filter: Filter, put: (value: unknown) => string): string[] {
  const asksForType = filter.any.some((terms) => terms.some((term) => term.startsWith('type=')));
  const clauses = asksForType ? filter.any : [...filter.any, REQUESTS];
  const conditions = clauses.map((terms) => {
    const valuesOf = (field: string): string[] =>
      terms.filter((term) => term.startsWith(field)).map((term) => storable(term.slice(field.length)));
    const runs = valuesOf('run=');
    const calls = valuesOf('call=');
    const choices = [`records.terms && ${put(terms.filter(isFoundByTerm).map(storable))}::text[]`];
    if (runs.length > 0) choices.push(`records.strand = ANY (${put(runs)}::text[])`);
    if (calls.length > 0) choices.push(`records.call = ANY (${put(calls)}::text[])`);
    return `(${choices.join(' OR ')})`;
  });
  const { since, until } = filter;
  if (since !== undefined) conditions.push(`records.at >= ${put(new Date(since))}`);
  if (until !== undefined) conditions.push(`records.at <= ${put(new Date(until))}`);
  return conditions;
}

/** Erasures have the runs that they are about among their terms. */
function isFoundByTerm(term: string): boolean {
  return isIndexed(term) || term.startsWith('run=');
}

function hasStatus({ outcome }: Found, { status }: Filter): boolean {
  return status.length === 0 || (outcome !== undefined && status.includes(outcome.status));
}

async function readRuns(session: Session, limit: number): Promise<ListedRun[]> {
  const { rows } = await session.query(
    `SELECT origins.origin, runs.idx, bytes, coalesce(state, 'live') AS state, calls, denials
     FROM runs JOIN records USING (origin, idx) JOIN origins ON origins.id = runs.origin,
     LATERAL (SELECT sum(calls) AS calls, sum(denials) AS denials, max(state) AS state FROM run_facts
       WHERE run_facts.run = runs.run) AS facts
     ORDER BY opened_at DESC, runs.idx DESC LIMIT $1`,
    [limit],
  );
  return (rows as RunRow[]).flatMap((row) => {
    const record = decode(row);
    if (record.type !== 'run.open') return [];
    const { run, parent, agent, owner, purpose, at } = record;
    return [
      {
        run,
        ...(parent === undefined ? {} : { parent }),
        agent,
        owner: owner.name,
        purpose,
        state: row.state,
        openedAt: at,
        calls: Number(row.calls),
        denials: Number(row.denials),
      },
    ];
  });
}

type RunRow = Pick<Row, 'origin' | 'idx' | 'bytes'> & {
  readonly state: ListedRun['state'];
  readonly calls: string;
  readonly denials: string;
};

async function readTree(session: Session, run: RunId): Promise<OfLog[]> {
  const { rows } = await session.query(
    `SELECT origins.origin, idx, bytes FROM records JOIN origins ON origins.id = records.origin
     WHERE strand IN (SELECT run FROM runs WHERE root IN (SELECT root FROM runs WHERE run = $1))`,
    [run],
  );
  return (rows as Row[]).map((row) => ({ origin: row.origin, record: decode(row) }));
}

async function readEnds(session: Session): Promise<Map<number, number>> {
  const { rows } = await session.query('SELECT id, size FROM origins');
  return new Map((rows as { id: number; size: string }[]).map(({ id, size }) => [id, Number(size)]));
}

/** An origin that came later is followed from its beginning. */
async function readNewer(session: Session, next: ReadonlyMap<number, number>): Promise<Row[]> {
  const { rows } = await session.query(
    `${FOUND} LEFT JOIN unnest($1::integer[], $2::bigint[]) AS known (id, next) ON known.id = records.origin
     WHERE records.idx >= coalesce(known.next, 0) AND records.idx < origins.size
       AND origins.size > coalesce(known.next, 0)
     ORDER BY records.origin, records.idx LIMIT ${PAGE}`,
    [[...next.keys()], [...next.values()]],
  );
  return rows as Row[];
}

function toFound(row: Row): Found {
  const record = decode(row);
  const outcome = row.outcome === null ? undefined : decode({ ...row, bytes: row.outcome });
  const { origin } = row;
  return outcome?.type === 'outcome' ? { record, outcome, origin } : { record, origin };
}

function decode({ origin, idx, bytes }: Pick<Row, 'origin' | 'idx' | 'bytes'>): LogRecord {
  const decoded = decodeRecord(bytes);
  if (decoded.ok) return decoded.value;
  throw new SallyportError(
    'ERR_LOG_CORRUPT',
    `record ${idx} of ${origin} in the database of the mirror cannot be read (${decoded.error.reason})`,
  );
}
