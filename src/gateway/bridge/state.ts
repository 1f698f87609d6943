import type { JsonObject, JsonValue, RunId, UpstreamName } from '../../base/index.ts';
import type { CallResult, KnownRequest } from '../call/index.ts';
import type { JsonRpcMessage, RpcId, StreamEvent } from '../upstream/index.ts';
import type { MessageQueue } from './message-queue.ts';
import { createPerRun, type PerRun } from './per-run.ts';
import type { PostRequest } from './translate.ts';

/** The client's answer to a question of the server, and the request that brought it. */
export type ClientAnswer = { readonly request: KnownRequest; readonly message: JsonRpcMessage };

/** A session that a legacy client has with the gateway, because the upstream knows none. */
export type ClientSession = {
  readonly id: string;
  readonly upstream: UpstreamName;
  /** Revision of the client, and of the upstream. */
  readonly from: string;
  readonly to: string;
  readonly clientInfo: JsonValue | undefined;
  readonly clientCapabilities: JsonObject;
  readonly serverCapabilities: JsonObject;
  /** What `logging/setLevel` last said. */
  level: string | undefined;
  readonly subscriptions: Set<string>;
  /** Questions that are open, by the id they were asked under. */
  readonly questions: Map<RpcId, (answer: ClientAnswer) => void>;
  /** Ends a request of the client. */
  readonly underWay: Map<RpcId, AbortController>;
  /** The open GET stream: told when the subscriptions have changed. */
  listening: { readonly close: () => void; readonly changed: () => Promise<void> } | undefined;
};

/** A session at a legacy upstream, for modern requests of one run that introduce themselves alike. */
export type Link = {
  /** As `Sessions` knows it; none where the upstream keeps no sessions. */
  readonly session?: string;
  readonly revision: string;
  readonly capabilities: JsonObject;
  readonly serverInfo: JsonValue | undefined;
  level: string | undefined;
  /** The GET stream: whether there is one, once it was asked for. */
  stream: Promise<boolean> | undefined;
  /** Calls that are under way, the latest last. */
  readonly calls: Set<LinkedCall>;
  /** Clients that listen, and how many of them for which resource. */
  readonly listeners: Set<MessageQueue>;
  readonly subscribed: Map<string, number>;
};

/** What the session's stream has to know of a call. */
export type LinkedCall = {
  readonly first: string;
  readonly isInterruptible: boolean;
  /** What the server says about the call elsewhere than in its answer. */
  readonly incoming: MessageQueue;
};

/** One round of a client: the request that it sent last. */
export type Round = { readonly request: KnownRequest; readonly admitted: PostRequest };

/** What of a call that waits for its client can be done from outside. */
export type WaitingCall = {
  /** The call of the first round. */
  readonly first: KnownRequest['inbound']['call'];
  /** Equal for all rounds of one request. */
  readonly sameness: string;
  answer(question: RpcId, result: JsonObject, round: Round): Promise<CallResult>;
  events(round: Round): AsyncIterable<StreamEvent>;
  drop(why: string): void;
};

/** A call at a legacy upstream that waits for the client to come back with an answer. */
export type HeldRound = {
  readonly upstream: UpstreamName;
  readonly call: WaitingCall;
  /** Key of the one input request. */
  readonly key: string;
  /** Id of the server's question. */
  readonly question: RpcId;
  readonly expiry: NodeJS.Timeout;
};

/** Everything the bridge remembers, all of it bound to runs and bounded. */
export type BridgeState = {
  readonly sessions: PerRun<ClientSession>;
  readonly links: PerRun<Promise<Link | undefined>>;
  /** By the `requestState` that the client was given. */
  readonly held: PerRun<HeldRound>;
  /** Forgets a run and cuts what waits for it. */
  end(run: RunId): void;
};

const MAX_SESSIONS = 64;
const MAX_LINKS = 16;
const MAX_HELD = 32;

export function createBridgeState(): BridgeState {
  const sessions = createPerRun<ClientSession>(MAX_SESSIONS, closeSession);
  const links = createPerRun<Promise<Link | undefined>>(MAX_LINKS);
  const held = createPerRun<HeldRound>(MAX_HELD, ({ call, expiry }) => {
    clearTimeout(expiry);
    call.drop('too many rounds are open, or the run is over');
  });
  return {
    sessions,
    links,
    held,
    end(run) {
      sessions.end(run);
      links.end(run);
      held.end(run);
    },
  };
}

/** The requests of a session end with it. */
export function closeSession({ underWay, listening }: ClientSession): void {
  for (const cancel of underWay.values()) cancel.abort('the session is over');
  listening?.close();
}
