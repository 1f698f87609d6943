import type { Logger } from 'pino';
import type { CallId, UpstreamName } from '../../base/index.ts';
import type { Chain, Run } from '../../identity/index.ts';
import type { JsonRpcMessage } from '../upstream/index.ts';
import type { RpcId } from './call.ts';
import type { InFlight } from './in-flight.ts';

/** What of a call says whose it is; a `Call` fits. */
export type Resumable = {
  readonly inbound: { readonly call: CallId };
  readonly caller: { readonly chain: Chain };
  readonly run: Run;
  readonly target: { readonly upstream: UpstreamName };
  readonly rpcId?: RpcId;
  readonly session?: string;
};

/** A call whose stream ended, of which an agent may hear more on a later stream of the same session. */
export type Parked = {
  readonly release: (message: JsonRpcMessage) => Promise<JsonRpcMessage | undefined>;
  /** Called once, when nobody came back in time or the run is over. */
  readonly giveUp: () => Promise<unknown>;
};

/**
 * Calls that agents can come back for with `Last-Event-ID`. What a resumed stream brings is released by the call
 * it answers: filtered as that call's answer and recorded as its outcome, whichever connection it comes on.
 */
export type Resumption = {
  park(call: Resumable, parked: Parked): void;
  /** The call of the same run, upstream and session that a message of a resumed stream answers. */
  find(call: Resumable, message: JsonRpcMessage): Parked | undefined;
  /** Nothing of a session is given up while a stream of it is open. Returns how to let go. */
  hold(call: Resumable): () => void;
};

export type ResumptionDeps = {
  readonly inFlight: InFlight;
  readonly log: Logger;
  /** How long a call waits for its agent; five minutes unless said otherwise. */
  readonly waitMs?: number;
};

const WAIT_MS = 300_000;
const MAX_PER_SESSION = 64;

type Session = {
  readonly calls: Map<string, () => void>;
  readonly parked: Map<string, Parked>;
  holds: number;
};

export function createResumption({ inFlight, log, waitMs = WAIT_MS }: ResumptionDeps): Resumption {
  const sessions = new Map<string, Session>();

  function sessionOf(call: Resumable): Session {
    const key = sessionKey(call);
    const session = sessions.get(key) ?? { calls: new Map(), parked: new Map(), holds: 0 };
    sessions.set(key, session);
    return session;
  }

  function forgetEmpty(call: Resumable, session: Session): void {
    if (session.calls.size === 0 && session.holds === 0) sessions.delete(sessionKey(call));
  }

  return {
    park(call, parked) {
      const session = sessionOf(call);
      const id = idKey(call.rpcId);
      session.calls.get(id)?.();
      const waiting = inFlight.enter(call.caller.chain, call.target.upstream, new AbortController().signal);
      const drop = (): void => {
        clearInterval(timer);
        waiting.signal.removeEventListener('abort', drop);
        waiting.leave();
        session.calls.delete(id);
        session.parked.delete(id);
        forgetEmpty(call, session);
        parked.giveUp().catch((error: unknown) => {
          log.error({ err: error, call: call.inbound.call }, 'outcome of a resumable call not recorded');
        });
      };
      const timer = setInterval(() => {
        if (session.holds === 0) drop();
      }, waitMs).unref();
      waiting.signal.addEventListener('abort', drop, { once: true });
      session.calls.set(id, drop);
      session.parked.set(id, parked);
      if (session.calls.size > MAX_PER_SESSION) [...session.calls.values()][0]?.();
    },

    find(call, message) {
      return sessions.get(sessionKey(call))?.parked.get(idKey(message['id']));
    },

    hold(call) {
      const session = sessionOf(call);
      session.holds++;
      return () => {
        session.holds--;
        forgetEmpty(call, session);
      };
    },
  };
}

function sessionKey({ run, target, session }: Resumable): string {
  return JSON.stringify([run.id, target.upstream, session ?? '']);
}

function idKey(id: unknown): string {
  return JSON.stringify(id ?? null);
}
