import { digestJson, isJsonObject, type UpstreamName } from '../../base/index.ts';
import type { KnownRequest } from '../call/index.ts';
import { isModernRevision, LEGACY_REVISION, META, metaOf } from '../upstream/index.ts';
import { ask } from './carry-out.ts';
import type { BridgeDeps } from './deps.ts';
import { placeOfLink } from './session-stream.ts';
import type { Link } from './state.ts';
import { legacyNotification, legacyRequest, type PostRequest, withoutOwnWords } from './translate.ts';

const NAMELESS = { name: 'unknown', version: 'unknown' };
const LEVELS = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency'];

/** Whom a modern request is from, in the words of `initialize`. */
function introductionOf({ message }: PostRequest) {
  const meta = metaOf(message) ?? {};
  return {
    protocolVersion: LEGACY_REVISION,
    capabilities: withoutOwnWords(meta[META.clientCapabilities]),
    clientInfo: meta[META.clientInfo] ?? NAMELESS,
  };
}

/**
 * The session at a legacy upstream in which a modern request is made: one for all requests of a run that introduce
 * themselves alike, opened by the first. It belongs to the run and ends with it. Undefined when the upstream or
 * policy refuses it.
 */
export function linkFor(
  request: KnownRequest,
  admitted: PostRequest,
  upstream: UpstreamName,
  deps: BridgeDeps,
): Promise<Link | undefined> {
  const [run] = request.caller.chain;
  const key = keyOf(admitted, upstream);
  const known = deps.state.links.get(run.id, key);
  if (known !== undefined) return known;
  const opening = open(request, admitted, deps);
  deps.state.links.set(run.id, key, opening);
  const forget = (): void => forgetLink(request, admitted, upstream, opening, deps);
  opening.then((link) => link ?? forget(), forget);
  return opening;
}

/** The session is gone, or never came about: the next request opens another. */
export function forgetLink(
  request: KnownRequest,
  admitted: PostRequest,
  upstream: UpstreamName,
  opening: Promise<Link | undefined>,
  { state }: BridgeDeps,
): void {
  const [run] = request.caller.chain;
  const key = keyOf(admitted, upstream);
  if (state.links.get(run.id, key) === opening) void state.links.take(run.id, key);
}

function keyOf(admitted: PostRequest, upstream: UpstreamName): string {
  return digestJson({ ...introductionOf(admitted), upstream });
}

async function open(
  request: KnownRequest,
  admitted: PostRequest,
  deps: BridgeDeps,
): Promise<Link | undefined> {
  const bridge = { from: revisionOf(admitted), to: LEGACY_REVISION, method: admitted.method };
  const greeting = legacyRequest(deps.ids.callId(), 'initialize', introductionOf(admitted), {});
  const greeted = await ask(request, greeting, bridge, deps);
  const result = greeted?.response?.['result'];
  if (greeted === undefined || !isJsonObject(result)) return undefined;
  const { protocolVersion: revision, capabilities, serverInfo } = result;
  if (typeof revision !== 'string' || isModernRevision(revision)) return undefined;
  const link: Link = {
    ...(greeted.session === undefined ? {} : { session: greeted.session }),
    revision,
    capabilities: withoutOwnWords(capabilities),
    serverInfo,
    level: undefined,
    stream: undefined,
    calls: new Set(),
    listeners: new Set(),
    subscribed: new Map(),
  };
  const initialized = legacyNotification('notifications/initialized', undefined, placeOfLink(link));
  await ask(request, initialized, { ...bridge, to: revision }, deps);
  return link;
}

export function revisionOf({ message }: PostRequest): string {
  const revision = metaOf(message)?.[META.protocolVersion];
  return typeof revision === 'string' ? revision : '';
}

/** The lowest level of log messages that a modern request asks for; undefined when it wants none. */
export function levelOf({ message }: PostRequest): string | undefined {
  const level = metaOf(message)?.[META.logLevel];
  return typeof level === 'string' && LEVELS.includes(level) ? level : undefined;
}

export function isLoudEnough(level: unknown, wanted: string | undefined): boolean {
  return wanted !== undefined && LEVELS.indexOf(String(level)) >= LEVELS.indexOf(wanted);
}

/** Each modern request has a level of its own; the session gets the most talkative of them. */
export async function requireLevel(
  request: KnownRequest,
  admitted: PostRequest,
  link: Link,
  deps: BridgeDeps,
): Promise<void> {
  const level = levelOf(admitted);
  if (level === undefined || link.capabilities['logging'] === undefined) return;
  if (link.level !== undefined && isLoudEnough(level, link.level)) return;
  link.level = level;
  const bridge = { from: revisionOf(admitted), to: link.revision, method: admitted.method };
  await ask(
    request,
    legacyRequest(deps.ids.callId(), 'logging/setLevel', { level }, placeOfLink(link)),
    bridge,
    deps,
  );
}
