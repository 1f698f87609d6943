import { randomBytes } from 'node:crypto';
import { isJsonObject, type JsonObject, type JsonValue } from '../../base/index.ts';
import type { BridgeEntry } from '../../intent-log/index.ts';
import {
  type CallResult,
  carryOut,
  collectAnswer,
  type KnownRequest,
  refuse,
  type UpstreamPort,
} from '../call/index.ts';
import { type Admitted, paramHeadersOf } from '../mcp/index.ts';
import { LEGACY_REVISION, META, RPC_ERROR, type RpcId, rpcError } from '../upstream/index.ts';
import { carryOutHere, refuseParams, refuseUnbridged, written } from './carry-out.ts';
import type { BridgeDeps } from './deps.ts';
import { listenForLegacy } from './listen-for-legacy.ts';
import { FROM_LEGACY, mappingOf } from './mapping.ts';
import { answerInRounds } from './rounds.ts';
import { type ClientSession, closeSession } from './state.ts';
import { modernRequest, type PostRequest, toModernCapabilities, withoutOwnWords } from './translate.ts';

const LEGACY_REVISIONS: readonly JsonValue[] = ['2024-11-05', '2025-03-26', '2025-06-18', LEGACY_REVISION];
const MAX_SUBSCRIPTIONS = 256;
const UNTIL_TOLD = 'info'; // what servers of the sessions' era do whose client has set no level

/** A message of a client that knows sessions, at an upstream that knows none. */
export async function fromLegacy(
  request: KnownRequest,
  port: UpstreamPort,
  revision: string,
  deps: BridgeDeps,
): Promise<CallResult> {
  const { admitted, caller } = request;
  const { name } = port.upstream;
  if (admitted.leg === 'POST' && admitted.kind === 'request' && admitted.method === 'initialize') {
    return greet(request, admitted as PostRequest, port, revision, deps);
  }
  const session =
    admitted.session === undefined
      ? undefined
      : deps.state.sessions.get(caller.chain[0].id, admitted.session);
  if (admitted.session !== undefined && session?.upstream !== name) {
    return refuse(request, { step: 'resolve', refusal: { reason: 'unknown_session' } }, deps.call);
  }
  if (session === undefined) {
    // Such servers say best themselves that they have no use for it.
    if (admitted.leg !== 'POST') return carryOut(request, deps.call);
    return refuseUnbridged(
      request,
      'without initialize and Mcp-Session-Id there is nothing to translate by',
      deps,
    );
  }
  switch (admitted.leg) {
    case 'GET':
      return listenForLegacy(request, session, deps);
    case 'DELETE':
      return here(request, session, 'DELETE', deps, () => {
        deps.state.sessions.take(caller.chain[0].id, session.id);
        closeSession(session);
        return undefined;
      });
    case 'POST':
      return fromSession(request, admitted, session, deps);
  }
}

/** `initialize` becomes `server/discover`; the session that comes of it is the gateway's own. */
async function greet(
  request: KnownRequest,
  { id, params = {} }: PostRequest,
  port: UpstreamPort,
  revision: string,
  deps: BridgeDeps,
): Promise<CallResult> {
  const { inbound, caller } = request;
  const { name } = port.upstream;
  const wanted = params['protocolVersion'] ?? null;
  const from = typeof wanted === 'string' && LEGACY_REVISIONS.includes(wanted) ? wanted : LEGACY_REVISION;
  const { clientInfo } = params;
  const clientCapabilities = toModernCapabilities(params['capabilities']);
  const envelope = { revision, clientInfo, clientCapabilities };
  const admitted = modernRequest(id, 'server/discover', {}, envelope);
  const bridge = { from, to: revision, method: 'initialize', call: inbound.call };
  const result = await carryOut({ ...request, admitted, bridge }, deps.call);
  if (result.kind === 'refused') return asLegacy(result);
  const response = (await collectAnswer(result))?.response ?? noAnswer(id);
  const discovered = response['result'];
  if (!isJsonObject(discovered)) return written(request, name, { status: 200, message: response });
  const serverCapabilities = withoutOwnWords(discovered['capabilities']);
  const session: ClientSession = {
    id: randomBytes(24).toString('base64url'),
    upstream: name,
    from,
    to: revision,
    clientInfo,
    clientCapabilities,
    serverCapabilities,
    level: serverCapabilities['logging'] === undefined ? undefined : UNTIL_TOLD,
    subscriptions: new Set(),
    questions: new Map(),
    underWay: new Map(),
    listening: undefined,
  };
  deps.state.sessions.set(caller.chain[0].id, session.id, session);
  const message = { jsonrpc: '2.0', id, result: initializeResult(discovered, session) };
  return written(request, name, { status: 200, message, session: session.id });
}

function initializeResult(discovered: JsonObject, session: ClientSession): JsonObject {
  const { instructions, _meta } = discovered;
  const meta = isJsonObject(_meta) ? _meta : {};
  return {
    protocolVersion: session.from,
    capabilities: session.serverCapabilities,
    serverInfo: meta[META.serverInfo] ?? { name: session.upstream, version: 'unknown' },
    ...(instructions === undefined ? {} : { instructions }),
  };
}

async function fromSession(
  request: KnownRequest,
  admitted: Extract<Admitted, { leg: 'POST' }>,
  session: ClientSession,
  deps: BridgeDeps,
): Promise<CallResult> {
  if (admitted.kind === 'response') return answerQuestion(request, admitted, session, deps);
  const mapping = mappingOf(FROM_LEGACY, admitted.method);
  if (mapping.kind === 'refused') return refuseUnbridged(request, mapping.why, deps);
  if (admitted.kind === 'notification') return notify(request, admitted, session, deps);
  if (mapping.kind === 'same') return pass(request, admitted as PostRequest, session, deps);
  return answerOwn(request, admitted as PostRequest, session, deps);
}

/** What is the same in both eras, save the envelope. */
async function pass(
  request: KnownRequest,
  { id, method, params = {} }: PostRequest,
  session: ClientSession,
  deps: BridgeDeps,
): Promise<CallResult> {
  const foreign = ['task', 'inputResponses', 'requestState'].find((key) => params[key] !== undefined);
  if (foreign !== undefined) {
    const why =
      foreign === 'task' ? 'tasks of 2025-11-25 do not map' : 'is no parameter of the revision in use';
    return refuseUnbridged(request, `params.${foreign}: ${why}`, deps);
  }
  if (session.underWay.has(id)) return refuseParams(request, 'the id is in use by another request', deps);
  const { inbound } = request;
  const cancelled = new AbortController();
  session.underWay.set(id, cancelled);
  const done = (): void => void (session.underWay.get(id) === cancelled && session.underWay.delete(id));
  const agentGone = AbortSignal.any([inbound.agentGone, cancelled.signal]);
  const bridge = bridgeOf(request, session, method);
  const translate = (own: RpcId, changed: JsonObject) => translated(own, method, changed, session, deps);
  try {
    const result = await carryOut(
      {
        ...request,
        inbound: { ...inbound, agentGone },
        admitted: translate(id, params),
        bridge,
      },
      deps.call,
    );
    if (result.kind === 'answered') {
      const isWithdrawn = (): boolean => cancelled.signal.aborted;
      const call = { request, id, method, params, session, translate, agentGone, isWithdrawn, done };
      return answerInRounds(result, call, deps);
    }
    done();
    return asLegacy(result);
  } catch (error) {
    done();
    throw error;
  }
}

/** The request as the upstream gets it, with the headers that its era wants. */
function translated(
  id: string | number,
  method: string,
  params: JsonObject,
  session: ClientSession,
  { call: { catalogue } }: BridgeDeps,
): PostRequest {
  const { to: revision, clientInfo, clientCapabilities, level } = session;
  const request = modernRequest(id, method, params, { revision, clientInfo, clientCapabilities, level });
  const { name, arguments: args = {} } = params;
  if (method !== 'tools/call' || typeof name !== 'string' || !isJsonObject(args)) return request;
  const pin = catalogue.tools(session.upstream).get(name);
  if (pin === undefined) return request;
  return { ...request, mcpHeaders: { ...request.mcpHeaders, ...paramHeadersOf(pin.definition, args) } };
}

/** What the gateway knows itself, or keeps for later requests. */
function answerOwn(
  request: KnownRequest,
  { id, method, params = {} }: PostRequest,
  session: ClientSession,
  deps: BridgeDeps,
): Promise<CallResult> {
  return here(request, session, method, deps, async () => {
    const wrong = await keep(method, params, session);
    if (wrong !== undefined) return rpcError(id, RPC_ERROR.invalidParams, wrong);
    return { jsonrpc: '2.0', id, result: {} };
  });
}

/** Returns what is wrong with the parameters. */
async function keep(
  method: string,
  { level, uri }: JsonObject,
  session: ClientSession,
): Promise<string | undefined> {
  switch (method) {
    case 'logging/setLevel':
      if (typeof level !== 'string') return 'params.level must be a log level';
      session.level = level;
      return undefined;
    case 'resources/subscribe':
      if (typeof uri !== 'string') return 'params.uri must be the URI of a resource';
      if (session.subscriptions.size >= MAX_SUBSCRIPTIONS)
        return `a session has at most ${MAX_SUBSCRIPTIONS} subscriptions; end one first`;
      session.subscriptions.add(uri);
      await session.listening?.changed();
      return undefined;
    case 'resources/unsubscribe':
      if (typeof uri !== 'string') return 'params.uri must be the URI of a resource';
      if (session.subscriptions.delete(uri)) await session.listening?.changed();
      return undefined;
    default:
      return undefined;
  }
}

function notify(
  request: KnownRequest,
  { method, params }: Extract<Admitted, { kind: 'notification' }>,
  session: ClientSession,
  deps: BridgeDeps,
): Promise<CallResult> {
  return here(request, session, method, deps, () => {
    const id = params?.['requestId'];
    if (method === 'notifications/cancelled' && (typeof id === 'string' || typeof id === 'number')) {
      session.underWay.get(id)?.abort('the client cancelled the request');
    }
    return undefined;
  });
}

/** The answer to a question; the request that waits for it goes on where it waits. */
function answerQuestion(
  request: KnownRequest,
  { id, message }: Extract<Admitted, { kind: 'response' }>,
  session: ClientSession,
  deps: BridgeDeps,
): Promise<CallResult> {
  if (!session.questions.has(id))
    return refuseUnbridged(request, 'the response answers no question that is open in this session', deps);
  return here(request, session, 'response', deps, () => {
    const answer = session.questions.get(id);
    session.questions.delete(id);
    answer?.({ request, message });
    return undefined;
  });
}

function here(
  request: KnownRequest,
  session: ClientSession,
  method: string,
  deps: BridgeDeps,
  act: () => JsonObject | undefined | Promise<JsonObject | undefined>,
): Promise<CallResult> {
  return carryOutHere(
    request,
    { from: session.from, method },
    async () => {
      const message = await act();
      const status = request.admitted.leg === 'DELETE' ? 200 : 202;
      return message === undefined
        ? { status, body: { kind: 'none' } }
        : { status: 200, body: { kind: 'message', message } };
    },
    deps,
  );
}

function bridgeOf({ inbound }: KnownRequest, { from, to }: ClientSession, method: string): BridgeEntry {
  return { from, to, method, call: inbound.call };
}

/** A refusal as the client's own era puts it. */
export function asLegacy(result: CallResult): CallResult {
  if (result.kind !== 'refused' || result.refusal.step !== 'decide') return result;
  return { ...result, refusal: { ...result.refusal, era: 'legacy' } };
}

function noAnswer(id: string | number): JsonObject {
  return rpcError(id, 502, 'the upstream broke off; whether it acted on the call is not known');
}
