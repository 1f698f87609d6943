import { setTimeout as pause } from 'node:timers/promises';
import { isJsonObject } from '../../base/index.ts';
import type { BridgeEntry } from '../../intent-log/index.ts';
import type { KnownRequest } from '../call/index.ts';
import type { Admitted } from '../mcp/index.ts';
import { isRpcId, type JsonRpcMessage, RPC_ERROR, type RpcId, rpcError } from '../upstream/index.ts';
import { type Answered, ask, carryOutMore } from './carry-out.ts';
import type { BridgeDeps } from './deps.ts';
import { QUESTIONS } from './mapping.ts';
import type { Link } from './state.ts';
import { placeOf } from './translate.ts';

/** On whose behalf a session is used. */
export type LinkUse = { readonly request: KnownRequest; readonly bridge: Omit<BridgeEntry, 'call'> };

/** Servers that have nothing to say yet may keep the stream waiting for its first byte. */
const PATIENCE_MS = 1_000;

/** Where a message of the session goes. */
export function placeOfLink({ session, revision }: Link): Parameters<typeof placeOf>[0] {
  return session === undefined ? { revision } : { session, revision };
}

/**
 * The GET stream of a session at a legacy upstream, opened when a call can be interrupted or a client listens, and
 * open as long as the run lives. Servers say here what they announce, and many ask here what belongs to a call.
 * Resolves to whether there is one.
 */
export async function openSessionStream(use: LinkUse, link: Link, deps: BridgeDeps): Promise<boolean> {
  link.stream ??= open(use, link, deps);
  return Promise.race([link.stream, pause(PATIENCE_MS, false, { ref: false })]);
}

async function open(use: LinkUse, link: Link, deps: BridgeDeps): Promise<boolean> {
  const get: Admitted = { leg: 'GET', ...placeOf(placeOfLink(link)) };
  const result = await carryOutMore(use.request, get, use.bridge, deps);
  if (result.kind === 'refused') return false;
  const { relayed } = result;
  if (relayed.answer.body.kind !== 'stream') {
    await relayed.finish();
    return false;
  }
  follow(relayed, use, link, deps).catch((error: unknown) =>
    deps.call.log.error({ err: error, call: result.call }, 'stream of a bridged session not followed'),
  );
  return true;
}

async function follow(
  relayed: Answered['relayed'],
  use: LinkUse,
  link: Link,
  deps: BridgeDeps,
): Promise<void> {
  const { body } = relayed.answer;
  let failure: unknown;
  try {
    for await (const { message } of body.kind === 'stream' ? body.events : []) {
      const released = message === undefined ? undefined : await relayed.release(message);
      if (released !== undefined) await route(released, use, link, deps);
    }
  } catch (error) {
    failure = error;
  } finally {
    link.stream = undefined;
    for (const listener of link.listeners) listener.end();
    await relayed.finish(failure);
  }
}

/** A session is one client's, so its latest call is as good a place to ask that client as any other. */
async function route(message: JsonRpcMessage, use: LinkUse, link: Link, deps: BridgeDeps): Promise<void> {
  const { id, method, params } = message;
  if (isRpcId(id)) {
    const isQuestion = typeof method === 'string' && QUESTIONS.has(method);
    const call = isQuestion ? [...link.calls].findLast(({ isInterruptible }) => isInterruptible) : undefined;
    if (call?.incoming.push(message) !== true) await answerItself(message, id, use, link, deps);
    return;
  }
  for (const listener of link.listeners) listener.push(message);
  const token = isJsonObject(params) ? params['progressToken'] : undefined;
  const call = [...link.calls].findLast(({ first }) => token === undefined || first === token);
  call?.incoming.push(message);
}

/** What a server asks that cannot be asked of this client. Only a ping has an answer. */
export async function answerItself(
  { method }: JsonRpcMessage,
  id: RpcId,
  { request, bridge }: LinkUse,
  link: Link,
  deps: BridgeDeps,
): Promise<void> {
  const why = 'this client can be asked in the midst of tools/call, prompts/get and resources/read only';
  const message =
    method === 'ping' ? { jsonrpc: '2.0', id, result: {} } : rpcError(id, RPC_ERROR.methodNotFound, why);
  await ask(request, responseIn(link, id, message), bridge, deps);
}

/** A response as the client of the session would send it. */
export function responseIn(link: Link, id: RpcId, message: JsonRpcMessage): Admitted {
  return { leg: 'POST', era: 'legacy', kind: 'response', id, message, ...placeOf(placeOfLink(link)) };
}
