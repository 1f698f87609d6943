import { randomBytes } from 'node:crypto';
import type { JsonObject, RunId, UpstreamName } from '../../base/index.ts';
import type { JsonRpcMessage, RpcId } from '../upstream/index.ts';
import { createPlaces, type Places } from './places.ts';

/** A session that the aggregate endpoint has opened at one upstream. */
export type InnerSession = {
  /** As `Sessions` knows it; none where the upstream keeps no sessions. */
  readonly session?: string;
  /** The revision that the upstream chose. */
  readonly revision: string;
  /** Does it take `logging/setLevel`? */
  readonly canLog: boolean;
};

/** The stream that joins all upstreams of a session, while a client reads it. */
export type SessionStream = {
  /** An upstream has a session from now on: what it says belongs on the stream. */
  attach(upstream: UpstreamName, inner: InnerSession): void;
  /** Says something to the client. False when too much waits for it already. */
  tell(message: JsonRpcMessage): boolean;
  end(): void;
};

/** A legacy session at the aggregate endpoint: one client, and a session at each upstream it has used. */
export type AggregateSession = {
  readonly id: string;
  /** What the client said in `initialize`; each upstream is told the same. */
  readonly params: JsonObject;
  readonly inner: Map<UpstreamName, Promise<InnerSession | undefined>>;
  /** Which upstream works on which of the client's requests, so that a cancellation finds it. */
  readonly underWay: Map<RpcId, { readonly upstream: UpstreamName; readonly method: string }>;
  /** Ids of servers' requests, in our words, that the client has not answered: it may answer each once. */
  readonly asked: Set<RpcId>;
  readonly places: Places;
  /** What the client chose with `logging/setLevel`. */
  logLevel?: string;
  stream?: SessionStream;
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
const MAX_REMEMBERED = 1024;

/** Keeps sessions in memory. A run that opens more than 64 loses the oldest. */
export function createAggregateSessions(): AggregateSessions {
  const runs = new Map<RunId, Map<string, AggregateSession>>();
  return {
    open(run, params) {
      const sessions = runs.get(run) ?? new Map<string, AggregateSession>();
      const [oldest] = sessions.keys();
      if (sessions.size >= MAX_PER_RUN && oldest !== undefined) drop(sessions, oldest);
      const id = randomBytes(24).toString('base64url');
      const session: AggregateSession = {
        id,
        params,
        inner: new Map(),
        underWay: new Map(),
        asked: new Set(),
        places: createPlaces(),
      };
      runs.set(run, sessions.set(id, session));
      return session;
    },
    find: (run, id) => runs.get(run)?.get(id),
    close(run, id) {
      const sessions = runs.get(run);
      if (sessions !== undefined && drop(sessions, id) && sessions.size === 0) runs.delete(run);
    },
    end(run) {
      for (const { stream } of runs.get(run)?.values() ?? []) stream?.end();
      runs.delete(run);
    },
  };
}

function drop(sessions: Map<string, AggregateSession>, id: string): boolean {
  sessions.get(id)?.stream?.end();
  return sessions.delete(id);
}

/** Keeps what a client sends without end within bounds: the oldest goes. */
export function remember<K>(keys: {
  readonly size: number;
  keys(): IterableIterator<K>;
  delete(key: K): boolean;
}): void {
  const [oldest] = keys.keys();
  if (keys.size > MAX_REMEMBERED && oldest !== undefined) keys.delete(oldest);
}
