import { isJsonObject, type JsonObject, type JsonValue } from '../../base/index.ts';
import type { KnownRequest, UpstreamPort } from '../call/index.ts';
import { keepPrivate } from '../mcp/index.ts';
import type { AggregateDeps } from './deps.ts';
import { innerCall, innerSession, inSession } from './inner-call.ts';
import { type Gathered, rewriteEntry } from './rewrite.ts';
import type { AggregateSession } from './sessions.ts';

const MAX_PAGES = 50;
const MAX_ENTRIES = 10_000;

/**
 * Asks upstreams side by side for all pages of a list and joins what they say. Each page is a call of its own, on
 * the way of every call, so entries that the run may not use are gone. An upstream that does not answer is named
 * in `_meta`: a short list must not pass for a whole one.
 */
export async function gatheredResult(
  request: KnownRequest,
  field: Gathered,
  ports: readonly UpstreamPort[],
  session: AggregateSession | undefined,
  deps: AggregateDeps,
): Promise<JsonObject> {
  const lists = await Promise.all(ports.map((port) => listAt(request, field, port, session, deps)));
  const entries = lists.flatMap((list) => list ?? []);
  const silent = ports.filter((_, i) => lists[i] === undefined).map(({ upstream }) => upstream.name);
  const { admitted } = request;
  const isModern = admitted.leg === 'POST' && admitted.era === 'modern';
  return {
    ...(isModern ? keepPrivate({ resultType: 'complete', ttlMs: 0, cacheScope: 'private' }) : {}),
    [field]: entries,
    ...(silent.length === 0 ? {} : { _meta: { 'sallyport/silent': silent } }),
  };
}

/** Undefined when the upstream gave no answer; an upstream that has no such list has an empty one. */
async function listAt(
  request: KnownRequest,
  field: Gathered,
  { upstream: { name } }: UpstreamPort,
  session: AggregateSession | undefined,
  deps: AggregateDeps,
): Promise<readonly JsonValue[] | undefined> {
  const inner = session === undefined ? undefined : await innerSession(request, name, session, deps);
  if (session !== undefined && inner === undefined) return undefined;
  const entries: JsonValue[] = [];
  const cursors = new Set<string>();
  let cursor: string | undefined;
  for (let page = 0; page < MAX_PAGES && entries.length < MAX_ENTRIES; page++) {
    const asked = inSession(pageOf(request, cursor), inner);
    const answer = await innerCall(request, name, asked, deps, session);
    if (answer?.response === undefined) return undefined;
    const { result } = answer.response;
    if (!isJsonObject(result)) return entries;
    const listed = result[field];
    if (Array.isArray(listed)) {
      const objects = listed.filter((entry: JsonValue) => isJsonObject(entry));
      entries.push(...objects.map((entry) => rewriteEntry(name, field, entry)));
    }
    const { nextCursor } = result;
    if (typeof nextCursor !== 'string' || cursors.has(nextCursor)) return entries;
    cursors.add(nextCursor);
    cursor = nextCursor;
  }
  return entries;
}

/** The client's own request, for one page of one upstream. */
function pageOf({ admitted }: KnownRequest, cursor: string | undefined): KnownRequest['admitted'] {
  if (admitted.leg !== 'POST' || admitted.kind !== 'request') return admitted;
  const { cursor: _, ...rest } = admitted.params ?? {};
  const params = (cursor === undefined ? rest : { ...rest, cursor }) as JsonObject;
  return { ...admitted, params, message: { ...admitted.message, params } };
}
