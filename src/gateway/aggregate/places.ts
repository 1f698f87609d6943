import { randomUUID } from 'node:crypto';
import type { UpstreamName } from '../../base/index.ts';

/** Where a client was in what it read: on the answer of one call, or on the stream that joins all upstreams. */
export type Place =
  | { readonly kind: 'answer'; readonly upstream: UpstreamName; readonly eventId: string }
  /** The last event of each upstream up to there. */
  | { readonly kind: 'joined'; readonly events: ReadonlyMap<UpstreamName, string> };

/** The ids of the latest events of a session, so that a client can come back to any of its streams. */
export type Places = {
  /** The id that the client gets for an event of an upstream, whose own (sealed) id is kept here. */
  add(kind: Place['kind'], upstream: UpstreamName, eventId: string): string;
  /** Undefined when there is no such event, or it is too long ago. */
  find(id: string): Place | undefined;
  /** The last event of each upstream on the joined stream. */
  latest(): ReadonlyMap<UpstreamName, string>;
};

type Entry = { readonly kind: Place['kind']; readonly upstream: UpstreamName; readonly eventId: string };

const MAX_EVENTS = 1024;

export function createPlaces(): Places {
  const prefix = randomUUID();
  const entries: Entry[] = [];
  /** What the joined stream had come to before the oldest entry. */
  const base = new Map<UpstreamName, string>();
  let dropped = 0;

  const joinedUpTo = (end: number): ReadonlyMap<UpstreamName, string> => {
    const events = new Map(base);
    for (const { kind, upstream, eventId } of entries.slice(0, end))
      if (kind === 'joined') events.set(upstream, eventId);
    return events;
  };

  return {
    add(kind, upstream, eventId) {
      entries.push({ kind, upstream, eventId });
      if (entries.length > MAX_EVENTS) {
        const oldest = entries.shift();
        dropped++;
        if (oldest?.kind === 'joined') base.set(oldest.upstream, oldest.eventId);
      }
      return `${prefix}-${dropped + entries.length - 1}`;
    },
    find(id) {
      const number = id.startsWith(`${prefix}-`) ? id.slice(prefix.length + 1) : '';
      const at = /^\d{1,15}$/.test(number) ? Number(number) - dropped : -1;
      const entry = entries[at];
      if (entry === undefined) return undefined;
      const { kind, upstream, eventId } = entry;
      return kind === 'answer' ? { kind, upstream, eventId } : { kind, events: joinedUpTo(at + 1) };
    },
    latest: () => joinedUpTo(entries.length),
  };
}
