import { type Database, type DatabaseAddress, openDatabase } from './database.ts';

/** How the mirror of one log stands. */
export type OriginStatus = {
  readonly origin: string;
  /** Records that are stored. */
  readonly size: number;
  /** When the gateway last showed a checkpoint that is good; RFC 3339. To ten seconds. */
  readonly seenAt?: string;
  /** Seconds since then, by the clock of the database. */
  readonly age?: number;
  /** Why nothing is taken in, and since when. */
  readonly alarm?: { readonly kind: string; readonly detail: string; readonly at: string };
};

/** What operators ask of a mirror's store and do to it. Rejects with `ERR_STATE_UNAVAILABLE`. */
export interface MirrorAdmin extends AsyncDisposable {
  origins(): Promise<OriginStatus[]>;
  /** Lets the intake go on; what was seen before must still be contained. False when no alarm stands. */
  release(origin: string, by: string, reason: string): Promise<boolean>;
}

export function openMirrorAdmin(address: DatabaseAddress): MirrorAdmin {
  const database = openDatabase(address);
  return {
    origins: () => readOrigins(database),
    release: (origin, by, reason) =>
      database.inTransaction(async (session) => {
        const released = await session.query(
          `UPDATE alarms SET released_at = now(), released_by = $2, reason = $3
           WHERE origin = (SELECT id FROM origins WHERE origin = $1) AND released_at IS NULL`,
          [origin, by, reason],
        );
        return released.rowCount === 1;
      }),
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  };
}

type StatusRow = {
  readonly origin: string;
  readonly size: string;
  readonly seen_at: Date | null;
  readonly age: number | null;
  readonly kind: string | null;
  readonly detail: string;
  readonly at: Date;
};

async function readOrigins(database: Database): Promise<OriginStatus[]> {
  const rows = await database.during(async (session) => {
    const answer = await session.query(
      `SELECT origins.origin, size, seen_at, extract(epoch FROM now() - seen_at)::float8 AS age, kind, detail, at
       FROM origins LEFT JOIN alarms ON alarms.origin = origins.id AND released_at IS NULL ORDER BY origins.origin`,
    );
    return answer.rows as StatusRow[];
  });
  return rows.map(({ origin, size, seen_at, age, kind, detail, at }) => ({
    origin,
    size: Number(size),
    ...(seen_at === null ? {} : { seenAt: seen_at.toISOString() }),
    ...(age === null ? {} : { age }),
    ...(kind === null ? {} : { alarm: { kind, detail, at: at.toISOString() } }),
  }));
}
