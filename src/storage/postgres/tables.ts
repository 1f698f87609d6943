import { SallyportError } from '../../base/index.ts';
import type { Database } from './database.ts';

/** Changes with the tables or what they mean. */
const FORMAT = 1;

const TABLES = `
CREATE TABLE format (version integer NOT NULL);
INSERT INTO format VALUES (${FORMAT});
CREATE TABLE origins (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, origin text NOT NULL UNIQUE,
  size bigint NOT NULL DEFAULT 0, frontier text NOT NULL DEFAULT '', seen text, seen_at timestamptz
);
CREATE TABLE alarms (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, origin integer NOT NULL REFERENCES origins,
  at timestamptz NOT NULL DEFAULT now(), kind text NOT NULL, detail text NOT NULL, note text NOT NULL,
  released_at timestamptz, released_by text, reason text
);
CREATE UNIQUE INDEX alarms_standing ON alarms (origin) WHERE released_at IS NULL;
CREATE TABLE records (
  origin integer NOT NULL, idx bigint NOT NULL, at timestamptz NOT NULL, strand text NOT NULL, call text,
  terms text[] NOT NULL, bytes bytea NOT NULL, PRIMARY KEY (origin, idx)
);
CREATE INDEX records_by_strand ON records (strand);
CREATE INDEX records_by_call ON records (call) WHERE call IS NOT NULL;
CREATE INDEX records_by_time ON records (at DESC, origin, idx DESC);
CREATE INDEX records_by_term ON records USING gin (terms);
CREATE TABLE strands (
  origin integer NOT NULL, strand text NOT NULL, idx bigint NOT NULL, seq bigint NOT NULL, leaf text NOT NULL,
  is_closed boolean NOT NULL, PRIMARY KEY (origin, strand)
);
CREATE INDEX strands_open ON strands (origin) WHERE NOT is_closed;
CREATE TABLE calls (
  origin integer NOT NULL, call text NOT NULL, idx bigint NOT NULL, run text, leaf text NOT NULL,
  is_intent boolean NOT NULL, outcome bigint, PRIMARY KEY (origin, call)
);
CREATE INDEX calls_open ON calls (origin) WHERE is_intent AND outcome IS NULL;
CREATE TABLE runs (
  origin integer NOT NULL, run text NOT NULL, root text NOT NULL, opened_at timestamptz NOT NULL, idx bigint NOT NULL,
  PRIMARY KEY (origin, run)
);
CREATE INDEX runs_by_run ON runs (run);
CREATE INDEX runs_by_root ON runs (root);
CREATE INDEX runs_by_time ON runs (opened_at DESC, idx DESC);
CREATE TABLE run_facts (
  origin integer NOT NULL, run text NOT NULL, calls bigint NOT NULL, denials bigint NOT NULL, state text,
  PRIMARY KEY (run, origin)
);
`;

/** Makes the tables where there are none. Throws `ERR_STATE_UNAVAILABLE` for those of another version. */
export async function prepareTables(database: Database, schema: string): Promise<void> {
  await database.inTransaction(async (session) => {
    await session.query('SELECT pg_advisory_xact_lock(hashtext($1))', [`sallyport mirror ${schema}`]);
    const known = await session.query('SELECT 1 FROM pg_tables WHERE schemaname = $1 AND tablename = $2', [
      schema,
      'format',
    ]);
    if (known.rows.length === 0) {
      await session.query(`CREATE SCHEMA IF NOT EXISTS ${schema}`);
      await session.query(TABLES);
    }
    const { rows } = await session.query('SELECT version FROM format');
    const version = Number((rows[0] as { version?: unknown } | undefined)?.version);
    if (version === FORMAT) return;
    throw new SallyportError(
      'ERR_STATE_UNAVAILABLE',
      `the tables in schema ${schema} have format ${version}, this version uses ${FORMAT}; use another schema, and it is filled anew`,
    );
  });
}
