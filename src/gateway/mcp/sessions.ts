import { randomBytes } from 'node:crypto';
import type { Clock, RunId, UpstreamName } from '../../base/index.ts';

/**
 * Session ids as agents see them, each bound to one run and one upstream. Another run's id, another upstream's
 * and one that never was are all unknown.
 */
export type Sessions = {
  /** The id the agent gets for an upstream's session: the same each time. */
  bind(run: RunId, upstream: UpstreamName, upstreamSession: string): string;
  /** The upstream's own id, if the run has this session there. */
  resolve(run: RunId, upstream: UpstreamName, session: string): string | undefined;
  /** Forgets one session: it was deleted, or the upstream no longer knows it. */
  release(run: RunId, session: string): void;
  /** Forgets all sessions of a run. */
  end(run: RunId): void;
  /** How many sessions are known. */
  readonly size: number;
};

export type SessionsDeps = {
  readonly now: Clock;
  /** At least 128 random bits as visible ASCII. */
  readonly newSessionId?: () => string;
};

type Entry = { readonly upstream: UpstreamName; readonly upstreamSession: string; usedAt: number };

const MAX_PER_RUN = 64;
const IDLE_MS = 24 * 60 * 60 * 1000;

/** Keeps sessions in memory. A run that opens more than 64 loses the one it has not used for longest. */
export function createSessions({ now, newSessionId = randomSessionId }: SessionsDeps): Sessions {
  const runs = new Map<RunId, Map<string, Entry>>();

  function release(run: RunId, session: string): void {
    const entries = runs.get(run);
    if (entries?.delete(session) === true && entries.size === 0) runs.delete(run);
  }

  return {
    bind(run, upstream, upstreamSession) {
      const entries = runs.get(run) ?? new Map<string, Entry>();
      for (const [session, entry] of entries) {
        if (entry.upstream === upstream && entry.upstreamSession === upstreamSession) return session;
      }
      if (entries.size >= MAX_PER_RUN) entries.delete(leastRecent(entries));
      const session = newSessionId();
      runs.set(run, entries.set(session, { upstream, upstreamSession, usedAt: now() }));
      return session;
    },

    resolve(run, upstream, session) {
      const entry = runs.get(run)?.get(session);
      if (entry === undefined || entry.upstream !== upstream) return undefined;
      const at = now();
      if (at - entry.usedAt > IDLE_MS) {
        release(run, session);
        return undefined;
      }
      entry.usedAt = at;
      return entry.upstreamSession;
    },

    release,

    end(run) {
      runs.delete(run);
    },

    get size() {
      let size = 0;
      for (const entries of runs.values()) size += entries.size;
      return size;
    },
  };
}

function leastRecent(entries: ReadonlyMap<string, Entry>): string {
  let oldest = '';
  let usedAt = Number.POSITIVE_INFINITY;
  for (const [session, entry] of entries) {
    if (entry.usedAt < usedAt) {
      oldest = session;
      usedAt = entry.usedAt;
    }
  }
  return oldest;
}

function randomSessionId(): string {
  return randomBytes(24).toString('base64url');
}
