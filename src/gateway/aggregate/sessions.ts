import { randomBytes } from 'node:crypto';
import type { JsonObject, RunId, UpstreamName } from '../../base/index.ts';
import type { RpcId } from '../upstream/index.ts';

/** A session that the aggregate endpoint has opened at one upstream. */
export type InnerSession = {
  /** As `Sessions` knows it; none where the upstream keeps no sessions. */
  readonly session?: string;
  /** The revision that the upstream chose. */
  readonly revision: string;
};

/** A legacy session at the aggregate endpoint: one client, and a session at each upstream it has used. */
export type AggregateSession = {
  readonly id: string;
  /** What the client said in `initialize`; each upstream is told the same. */
  readonly params: JsonObject;
  readonly inner: Map<UpstreamName, Promise<InnerSession | undefined>>;
  /** Which upstream works on which of the client's requests, so that a cancellation finds it. */
  readonly underWay: Map<RpcId, UpstreamName>;
};

/** The sessions of all runs. Another run's id and one that never was are both unknown. */
export type AggregateSessions = {
  open(run: RunId, params: JsonObject): AggregateSession;
  find(run: RunId, id: string): AggregateSession | undefined;
  close(run: RunId, id: string): void;
  /** Forgets all sessions of a run. */
  end(run: RunId): void;
};

const MAX_PER_RUN = 64;

/** Keeps sessions in memory. A run that opens more than 64 loses the oldest. */
export function createAggregateSessions(): AggregateSessions {
  const runs = new Map<RunId, Map<string, AggregateSession>>();
  return {
    open(run, params) {
      const sessions = runs.get(run) ?? new Map<string, AggregateSession>();
      const [oldest] = sessions.keys();
      if (sessions.size >= MAX_PER_RUN && oldest !== undefined) sessions.delete(oldest);
      const id = randomBytes(24).toString('base64url');
      const session = { id, params, inner: new Map(), underWay: new Map() };
      runs.set(run, sessions.set(id, session));
      return session;
    },
    find: (run, id) => runs.get(run)?.get(id),
    close(run, id) {
      const sessions = runs.get(run);
      if (sessions?.delete(id) === true && sessions.size === 0) runs.delete(run);
    },
    end(run) {
      runs.delete(run);
    },
  };
}
