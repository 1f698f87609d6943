import { createDigester } from './keyed-digest.ts';
import { type Rank, rankOf } from './level.ts';

/** What is kept of a value: never the value. */
export type Entry = {
  /** The best origin. */
  readonly rank: Rank;
  /** The best origin in a field that holds ids, or that has no name. */
  readonly idRank: Rank;
  /** No result of the owner's own systems may vouch better than this: the tree wrote the value itself. */
  readonly cap: Rank;
  readonly call: number;
  readonly field: number;
  readonly labels: number;
  /** Text of a third party speaks of it. */
  readonly isMentioned: boolean;
};

/** Where a value was seen. */
export type Origin = Omit<Entry, 'cap'>;

export type Limits = {
  /** Values per delegation tree. */
  readonly values: number;
  /** Estimated memory per delegation tree. */
  readonly bytes: number;
};

/** A run that has read some hundred pages. */
export const DEFAULT_LIMITS: Limits = { values: 50_000, bytes: 2 * 1024 * 1024 };

const WORST = rankOf('unknown');
const TEXT = rankOf('namedText');
/** The best that a result can be worth once the index is sealed. */
const SEALED = rankOf('thirdPartyText');
/** What the request, the principal and the operator say is not the tree's own writing. */
const SAID = rankOf('constant');

/** Values by the keyed digest of their normal form. */
export type ValueIndex = {
  find(normal: string): Entry | undefined;
  /** The same for a part of a text, whose normal form need not be made. */
  findIn(text: string, start: number, end: number): Entry | undefined;
  /** Notes an origin. False when there was no room for it. */
  add(normal: string, origin: Origin): boolean;
  /** The same for a part of a text. Of what is among `echoes`, no better than is said there. */
  note(text: string, start: number, end: number, origin: Origin, echoes: Echoes): boolean;
  /** The values of a call itself, with what they were worth before it. */
  echoes(values: readonly string[], worthNoting: (entry: Entry | undefined) => Rank | undefined): Echoes;
  /**
   * From now on nothing vouches better for a part of a text than it is worth now, if that is worse than `than`.
   */
  capAtPresent(text: string, start: number, end: number, than: Rank): void;
  /** The tree makes something of this name: as an identifier, the name is its own. */
  create(normal: string, idRank: Rank): void;
  /** From now on only what the request, the principal and the operator say vouches. */
  seal(): void;
  readonly isSealed: boolean;
  readonly size: { readonly values: number; readonly bytes: number; readonly isTruncated: boolean };
};

/** Ranks by digest. Most lookups end at one byte: which last bytes of digests there are. */
export type Echoes = { readonly lasts: Uint8Array; readonly ranks: ReadonlyMap<number, Rank> };

/** Four numbers of 32 bits: digest (two), what is known, where it was seen. */
const SLOT = 4;
const FIRST_SLOTS = 64;
/** At most three quarters of the slots are taken, and after growing three eighths are. */
const VALUE_BYTES = Math.ceil((SLOT * 4) / (3 / 8));

/** 53 bits of a digest: no two values of one call share them. */
const numberOf = (low: number, high: number): number => (high >>> 11) * 2 ** 32 + (low >>> 0);

const NO_ECHO: Rank = 0;

/** @param secret 64 characters that only this process knows: a digest says nothing to who has not got them. */
export function createValueIndex(
  secret: string,
  limits: Limits,
  union: (a: number, b: number) => number,
): ValueIndex {
  const digest = createDigester(secret);
  const most = Math.min(limits.values, Math.floor(limits.bytes / VALUE_BYTES));
  const mostText = Math.floor(most / 2);
  let slots = new Int32Array(FIRST_SLOTS * SLOT);
  let values = 0;
  let texts = 0;
  let isTruncated = false;
  let isSealed = false;

  /** Where the last digest is, or would be. */
  function place(low: number, high: number): number {
    const mask = slots.length - 1;
    let at = (low << 2) & mask;
    while (slots[at + KNOWN] !== 0 && (slots[at] !== low || slots[at + 1] !== high)) at = (at + SLOT) & mask;
    return at;
  }

  function grow(): void {
    const before = slots;
    slots = new Int32Array(before.length * 2);
    for (let from = 0; from < before.length; from += SLOT) {
      if (before[from + KNOWN] === 0) continue;
      slots.set(before.subarray(from, from + SLOT), place(before[from] ?? 0, before[from + 1] ?? 0));
    }
  }

  /** Text of third parties gets half of the room, so that it cannot crowd out what vouches. */
  function hasRoom(rank: Rank): boolean {
    const isRoom = values < most && (rank < TEXT || texts < mostText);
    if (!isRoom) isTruncated = true;
    return isRoom;
  }

  function insert(at: number, rank: Rank, idRank: Rank, cap: Rank, origin: Origin): boolean {
    if (!hasRoom(rank)) return false;
    if (rank >= TEXT) texts++;
    values++;
    slots[at] = digest.low;
    slots[at + 1] = digest.high;
    slots[at + KNOWN] = packKnown(rank, idRank, cap, origin.labels, origin.isMentioned);
    slots[at + SEEN] = packSeen(origin.call, origin.field);
    if (values * SLOT * 4 > slots.length * 3) grow();
    return true;
  }

  /** Notes an origin of the value that was digested last. */
  function put(origin: Origin, least: Rank): boolean {
    const at = place(digest.low, digest.high);
    const known = slots[at + KNOWN] ?? 0;
    const idRank = Math.max(origin.idRank, least);
    if (known === 0) return insert(at, Math.max(origin.rank, least), idRank, 0, origin);
    merge(at, known, Math.max(origin.rank, least), idRank, origin);
    return true;
  }

  function merge(at: number, known: number, originRank: Rank, originIdRank: Rank, origin: Origin): void {
    const cap = originRank <= SAID ? 0 : capIn(known);
    const before = rankIn(known);
    const rank = Math.max(originRank, cap);
    if (rank < before) {
      if (before >= TEXT && rank < TEXT) texts--;
      slots[at + SEEN] = packSeen(origin.call, origin.field);
    }
    slots[at + KNOWN] = packKnown(
      Math.min(before, rank),
      Math.min(idRankIn(known), Math.max(originIdRank, cap)),
      capIn(known),
      union(labelsIn(known), origin.labels),
      isMentionedIn(known) || origin.isMentioned,
    );
  }

  function found(): Entry | undefined {
    const at = place(digest.low, digest.high);
    const known = slots[at + KNOWN] ?? 0;
    return known === 0 ? undefined : unpack(known, slots[at + SEEN] ?? 0);
  }

  return {
    find(normal) {
      digest.exactly(normal);
      return found();
    },
    findIn(text, start, end) {
      digest.normalised(text, start, end);
      return found();
    },
    add(normal, origin) {
      digest.exactly(normal);
      return put(origin, NO_ECHO);
    },
    note(text, start, end, origin, { lasts, ranks }) {
      digest.normalised(text, start, end);
      const isEcho = lasts[digest.low & 0xff] === 1;
      const echo = isEcho ? (ranks.get(numberOf(digest.low, digest.high)) ?? NO_ECHO) : NO_ECHO;
      return put(origin, isSealed ? SEALED : echo);
    },
    echoes(texts, worthNoting) {
      const lasts = new Uint8Array(256);
      const ranks = new Map<number, Rank>();
      for (const text of texts) {
        digest.normalised(text, 0, text.length);
        const rank = worthNoting(found());
        if (rank === undefined) continue;
        lasts[digest.low & 0xff] = 1;
        ranks.set(numberOf(digest.low, digest.high), rank);
      }
      return { lasts, ranks };
    },
    capAtPresent(text, start, end, than) {
      digest.normalised(text, start, end);
      const at = place(digest.low, digest.high);
      const known = slots[at + KNOWN] ?? 0;
      const rank = known === 0 ? WORST : rankIn(known);
      if (rank <= than) return;
      if (known === 0) isSealed ||= !insert(at, WORST, WORST, WORST, NOWHERE);
      else slots[at + KNOWN] = (known & ~(RANK << CAP)) | (Math.max(capIn(known), rank) << CAP);
    },
    create(normal, idRank) {
      digest.exactly(normal);
      const at = place(digest.low, digest.high);
      const known = slots[at + KNOWN] ?? 0;
      if (known === 0) insert(at, WORST, idRank, 0, NOWHERE);
      // Somebody's text speaks of a thing that is there: giving something else its name does not make that the tree's own.
      else if (isMentionedIn(known) && rankIn(known) > SAID && rankIn(known) < TEXT) return;
      else slots[at + KNOWN] = (known & ~(RANK << ID_RANK)) | (Math.min(idRankIn(known), idRank) << ID_RANK);
    },
    seal() {
      isSealed = true;
    },
    get isSealed() {
      return isSealed;
    },
    get size() {
      return { values, bytes: slots.byteLength, isTruncated: isTruncated || isSealed };
    },
  };
}

const NOWHERE: Origin = { rank: WORST, idRank: WORST, call: 0, field: 0, labels: 0, isMentioned: false };

const KNOWN = 2;
const SEEN = 3;

// The bits of what is known. A slot that is taken is never 0.
const RANK = 0xf;
const ID_RANK = 4;
const CAP = 8;
const MENTIONED = 1 << 12;
const LABELS = 13;
const LABEL_SETS = 0xfff;
const TAKEN = 1 << 30;

// The bits of where it was seen.
const CALL = 12;
const FIELDS = 0xfff;

const rankIn = (known: number): Rank => known & RANK;
const idRankIn = (known: number): Rank => (known >> ID_RANK) & RANK;
const capIn = (known: number): Rank => (known >> CAP) & RANK;
const labelsIn = (known: number): number => (known >> LABELS) & LABEL_SETS;
const isMentionedIn = (known: number): boolean => (known & MENTIONED) !== 0;

function packKnown(rank: Rank, idRank: Rank, cap: Rank, labels: number, isMentioned: boolean): number {
  const ranks = rank | (idRank << ID_RANK) | (cap << CAP);
  return TAKEN | ranks | (isMentioned ? MENTIONED : 0) | (labels << LABELS);
}

const packSeen = (call: number, field: number): number => (call << CALL) | field;

function unpack(known: number, seen: number): Entry {
  return {
    rank: rankIn(known),
    idRank: idRankIn(known),
    cap: capIn(known),
    call: seen >>> CALL,
    field: seen & FIELDS,
    labels: labelsIn(known),
    isMentioned: isMentionedIn(known),
  };
}
