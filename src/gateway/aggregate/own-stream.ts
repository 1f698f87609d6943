import type { Permit } from '../../cedar/index.ts';
import type { KnownRequest } from '../call/index.ts';
import type { JsonRpcMessage } from '../upstream/index.ts';
import type { AggregateDeps, OwnStream } from './deps.ts';
import { JoinedEvents } from './joined-events.ts';
import { AGGREGATE } from './names.ts';
import { openOwn } from './record-own.ts';

/** A stream that the gateway makes of those of upstreams. */
export type Joined = {
  readonly events: JoinedEvents;
  /** Stands for the client: aborted when the stream is over, whoever ended it. */
  readonly gone: AbortSignal;
  end(): void;
};

/**
 * Opens a stream for the client: an intent before anything is on it, an outcome when it is over. Undefined when the run
 * is over already.
 */
export async function openJoined(
  request: KnownRequest,
  method: string,
  decision: Permit,
  deps: AggregateDeps,
): Promise<(Joined & { readonly result: OwnStream }) | undefined> {
  const { inbound, caller } = request;
  const entered = deps.call.inFlight.enter(caller.chain, AGGREGATE, inbound.agentGone);
  const settle = await openOwn(request, method, decision, entered.signal, deps).catch((error: unknown) => {
    entered.leave();
    throw error;
  });
  if (settle === undefined) {
    entered.leave();
    return undefined;
  }
  const events = new JoinedEvents();
  const gone = new AbortController();
  const end = (): void => {
    gone.abort('the stream is over');
    events.end();
  };
  if (entered.signal.aborted) end();
  else entered.signal.addEventListener('abort', end, { once: true });
  const result: OwnStream = {
    kind: 'stream',
    call: inbound.call,
    signal: entered.signal,
    relayed: {
      answer: { status: 200, body: { kind: 'stream', events } },
      release: async (message: JsonRpcMessage) => message, // each has come on the way of a call
      async finish() {
        end();
        entered.leave();
        await settle({ status: inbound.agentGone.aborted || entered.signal.aborted ? 'cancelled' : 'ok' });
      },
    },
  };
  return { events, gone: gone.signal, end, result };
}
