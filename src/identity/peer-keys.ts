import type { KeyObject } from 'node:crypto';
import { type Clock, isJsonObject, parseStrictJson } from '../base/index.ts';
import { type KeyNotice, type NoticedKey, openNotice } from './key-notice.ts';
import { PUBLISHED_AFTER_SECONDS } from './key-rotation.ts';
import { importEcPublicKey } from './public-key.ts';

export type PeerKeysOptions = {
  readonly issuer: string;
  /** Name of this gateway among those that share the state. */
  readonly gateway: string;
  /** By which notices are known, as `noticeKeyOf` makes it. */
  readonly noticeKey: KeyObject;
  readonly now: Clock;
  /** Tells the operator of a notice that is none, once for each. */
  readonly complain: (gateway: string, why: string) => void;
};

/** What this gateway has heard of the keys of the others, and of keys that were taken away. */
export type PeerKeys = {
  /** Takes in notices by gateway; true when one of them said something new. */
  hear(notices: ReadonlyMap<string, string>): boolean;
  find(kid: string): KeyObject | undefined;
  list(): readonly NoticedKey[];
  /** Nothing that this key signed is accepted from now on. */
  remove(kid: string): void;
  readonly removed: ReadonlyMap<string, number>;
  /** The greatest sequence that was heard. */
  readonly sequence: number;
  /** Everything, for the disk; `restore` reads it back. */
  dump(): string;
  restore(text: string): void;
};

type Heard = { readonly text: string; readonly notice: KeyNotice };
type Peer = { readonly key: KeyObject; readonly entry: NoticedKey; readonly until: number };

/** A gateway that says nothing more for this long has signed nothing that is still good. */
const LIFE_MILLIS = PUBLISHED_AFTER_SECONDS * 1000;
const SKEW_MILLIS = 60_000;
const MAX_GATEWAYS = 256;
const MAX_REMOVED = 200;

export function createPeerKeys(options: PeerKeysOptions): PeerKeys {
  const { gateway: own, noticeKey, issuer, now, complain } = options;
  const heard = new Map<string, Heard>();
  const refused = new Map<string, string>();
  let removed = new Map<string, number>();
  let peers = new Map<string, Peer>();
  let sequence = 0;

  function refuse(gateway: string, text: string, why: string): false {
    const isTold = refused.get(gateway) === text || (refused.size >= MAX_GATEWAYS && !refused.has(gateway));
    if (isTold) return false;
    refused.set(gateway, text);
    complain(gateway, why);
    return false;
  }

  function take(gateway: string, text: string): boolean {
    const known = heard.get(gateway);
    if (gateway === own || known?.text === text) return false;
    const opened = openNotice(text, noticeKey, { issuer, gateway });
    if (!opened.ok) return refuse(gateway, text, opened.error);
    const { at } = opened.value;
    // Also of a notice that is late or early: what was taken away once is gone for good, whatever clocks say.
    const isRemovalNew = merge(opened.value.removed);
    if (at > now() + SKEW_MILLIS) {
      refuse(gateway, text, 'it is from the future; look at the clocks');
      return isRemovalNew;
    }
    if (known !== undefined && at <= known.notice.at) return isRemovalNew; // played back, or late
    if (known === undefined && (now() - at > LIFE_MILLIS || !hasRoom())) return isRemovalNew;
    heard.set(gateway, { text, notice: opened.value });
    sequence = Math.max(sequence, opened.value.sequence);
    return true;
  }

  /** Gateways that are gone make way; a notice of theirs that is played back is too old to be taken. */
  function hasRoom(): boolean {
    if (heard.size < MAX_GATEWAYS) return true;
    for (const [gateway, { notice }] of heard) if (now() - notice.at > LIFE_MILLIS) heard.delete(gateway);
    return heard.size < MAX_GATEWAYS;
  }

  /** True when one of them was not known to be removed. */
  function merge(more: ReadonlyMap<string, number>): boolean {
    const fresh = [...more].filter(([kid]) => !removed.has(kid));
    for (const [kid, at] of fresh) removed.set(kid, at);
    if (removed.size <= MAX_REMOVED) return fresh.length > 0;
    removed = new Map([...removed].sort(([, one], [, other]) => other - one).slice(0, MAX_REMOVED));
    return fresh.some(([kid]) => removed.has(kid));
  }

  function rebuild(): void {
    peers = new Map();
    for (const { notice } of heard.values()) {
      for (const entry of notice.keys) {
        const key = importEcPublicKey(entry.jwk);
        const until = notice.at + LIFE_MILLIS;
        const isLonger = (peers.get(entry.kid)?.until ?? 0) < until;
        if (key !== undefined && isLonger) peers.set(entry.kid, { key, entry, until });
      }
    }
  }

  const isGood = ({ entry, until }: Peer): boolean => now() <= until && !removed.has(entry.kid);

  function hear(notices: ReadonlyMap<string, string>): boolean {
    let isNew = false;
    for (const [gateway, text] of notices) isNew = take(gateway, text) || isNew;
    if (isNew) rebuild();
    return isNew;
  }

  return {
    hear,
    find(kid) {
      const peer = peers.get(kid);
      return peer !== undefined && isGood(peer) ? peer.key : undefined;
    },
    list: () => [...peers.values()].filter(isGood).map(({ entry }) => entry),
    remove: (kid) => void merge(new Map([[kid, now()]])),
    get removed() {
      return removed;
    },
    get sequence() {
      return sequence;
    },
    dump() {
      const notices = Object.fromEntries([...heard].map(([gateway, { text }]) => [gateway, text]));
      return JSON.stringify({ v: 1, removed: Object.fromEntries(removed), notices });
    },
    restore(text) {
      const { removed: before, notices } = parseDump(text);
      merge(before);
      hear(notices);
    },
  };
}

type Dump = { readonly removed: ReadonlyMap<string, number>; readonly notices: ReadonlyMap<string, string> };

/** Throws a `TypeError` for what is no dump: a key that was taken away would be good again. */
function parseDump(text: string): Dump {
  const parsed = parseStrictJson(text);
  const { v, removed, notices } = parsed.ok && isJsonObject(parsed.value) ? parsed.value : {};
  if (v !== 1 || !isJsonObject(removed) || !isJsonObject(notices))
    throw new TypeError('not what was written');
  return {
    removed: new Map(Object.entries(removed).map(([kid, at]) => [kid, Number(at)])),
    notices: new Map(Object.entries(notices).map(([gateway, notice]) => [gateway, String(notice)])),
  };
}
