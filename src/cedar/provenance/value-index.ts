import { hash } from 'node:crypto';
import { type Rank, rankOf } from './level.ts';

/** What is kept of a value: never the value. */
export type Entry = {
  /** The best origin. */
  rank: Rank;
  /** The best origin in a field that holds ids, or that has no name. */
  idRank: Rank;
  /** No result of the owner's own systems may vouch better than this: the tree wrote the value itself. */
  cap: Rank;
  call: number;
  field: number;
  labels: number;
  /** Text of a third party speaks of it. */
  isMentioned: boolean;
};

export type Limits = {
  /** Values per delegation tree. */
  readonly values: number;
  /** Estimated memory per delegation tree. */
  readonly bytes: number;
};

/** A run that has read some hundred pages. */
export const DEFAULT_LIMITS: Limits = { values: 50_000, bytes: 2 * 1024 * 1024 };

/** A map slot, a key and an entry: measured on Node.js 24. */
const VALUE_BYTES = 192;
/** Bytes of a digest: 96 bits. A longer slice of a string would keep the whole string alive. */
const KEPT = 12;
const WORST = rankOf('unknown');
const TEXT = rankOf('namedText');
/** What the request, the principal and the operator say is not the tree's own writing. */
const SAID = rankOf('constant');

/** Values by the keyed digest of their normal form. */
export type ValueIndex = {
  find(normal: string): Entry | undefined;
  /** Notes an origin. False when there was no room for it. */
  add(normal: string, origin: Omit<Entry, 'cap'>): boolean;
  /** From now on nothing vouches better than `cap` for the value. */
  cap(normal: string, cap: Rank): void;
  /** The tree makes something of this name: as an identifier, the name is its own. */
  create(normal: string, idRank: Rank): void;
  /** From now on only what the request, the principal and the operator say vouches. */
  seal(): void;
  readonly isSealed: boolean;
  readonly size: { readonly values: number; readonly bytes: number; readonly isTruncated: boolean };
};

/**
 * @param secret 64 characters that only this process knows: a digest says nothing to who has not got them. They fill
 *   the first SHA-256 block, and digests are cut short, so that nothing can be appended to a known one.
 */
export function createValueIndex(
  secret: string,
  limits: Limits,
  union: (a: number, b: number) => number,
): ValueIndex {
  const entries = new Map<string, Entry>();
  const most = Math.min(limits.values, Math.floor(limits.bytes / VALUE_BYTES));
  const mostText = Math.floor(most / 2);
  let texts = 0;
  let isTruncated = false;
  let isSealed = false;

  const digestOf = (normal: string): string => hash('sha256', secret + normal, 'binary').slice(0, KEPT);

  /** Text of third parties gets half of the room, so that it cannot crowd out what vouches. */
  function hasRoom(rank: Rank): boolean {
    const isRoom = entries.size < most && (rank < TEXT || texts < mostText);
    if (!isRoom) isTruncated = true;
    return isRoom;
  }

  function insert(digest: string, entry: Entry): boolean {
    if (!hasRoom(entry.rank)) return false;
    if (entry.rank >= TEXT) texts++;
    entries.set(digest, entry);
    return true;
  }

  function merge(entry: Entry, origin: Omit<Entry, 'cap'>): void {
    const cap = origin.rank <= SAID ? 0 : entry.cap;
    const rank = Math.max(origin.rank, cap);
    if (rank < entry.rank) {
      if (entry.rank >= TEXT && rank < TEXT) texts--;
      entry.rank = rank;
      entry.call = origin.call;
      entry.field = origin.field;
    }
    entry.idRank = Math.min(entry.idRank, Math.max(origin.idRank, cap));
    entry.isMentioned ||= origin.isMentioned;
    entry.labels = union(entry.labels, origin.labels);
  }

  return {
    find: (normal) => entries.get(digestOf(normal)),
    add(normal, origin) {
      const digest = digestOf(normal);
      const entry = entries.get(digest);
      if (entry === undefined) return insert(digest, { ...origin, cap: 0 });
      merge(entry, origin);
      return true;
    },
    cap(normal, cap) {
      const digest = digestOf(normal);
      const entry = entries.get(digest);
      if (entry !== undefined) {
        entry.cap = Math.max(entry.cap, Math.min(cap, entry.rank));
        return;
      }
      const written = { rank: WORST, idRank: WORST, cap, call: 0, field: 0, labels: 0, isMentioned: false };
      if (!insert(digest, written)) isSealed = true;
    },
    create(normal, idRank) {
      const digest = digestOf(normal);
      const entry = entries.get(digest);
      if (entry === undefined)
        insert(digest, { rank: WORST, idRank, cap: 0, call: 0, field: 0, labels: 0, isMentioned: false });
      else entry.idRank = Math.min(entry.idRank, idRank);
    },
    seal() {
      isSealed = true;
    },
    get isSealed() {
      return isSealed;
    },
    get size() {
      return {
        values: entries.size,
        bytes: entries.size * VALUE_BYTES,
        isTruncated: isTruncated || isSealed,
      };
    },
  };
}
