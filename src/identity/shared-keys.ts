import type { KeyObject } from 'node:crypto';
import { type Clock, ok, type Result } from '../base/index.ts';
import { type NoticedKey, signNotice } from './key-notice.ts';
import type { KeyChange, KeyRefusal } from './key-rotation.ts';
import { createPeerKeys } from './peer-keys.ts';
import { parseEcPublicJwk } from './public-key.ts';
import type { KeyRing, PublishedKey } from './signing-keys.ts';

/** Where a gateway keeps what it has heard of the keys of others. */
export type NoticeShelf = {
  /** Undefined when nothing was written yet. */
  readonly read: () => Promise<string | undefined>;
  /** Durable when it resolves; one at a time, in order. */
  readonly write: (text: string) => Promise<void>;
};

export type SharedKeysOptions = {
  /** The gateway's own keys: their private halves stay with it. */
  readonly ring: KeyRing;
  readonly issuer: string;
  /** Name of this gateway among those that share the state. */
  readonly gateway: string;
  readonly noticeKey: KeyObject;
  readonly shelf: NoticeShelf;
  readonly now: Clock;
  readonly complain: (gateway: string, why: string) => void;
};

/**
 * The keys of several gateways that look like one. Each signs with its own, and all verify and publish all of them.
 * A key that is taken away at one is taken away at all, also where it is the one that signs.
 */
export interface SharedKeys extends KeyRing {
  /** What this gateway says to the others, as of now. */
  notice(): string;
  /** Takes in what the others say, by gateway. In force when it resolves. What proves nothing is ignored. */
  hear(notices: ReadonlyMap<string, string>): Promise<void>;
  /** False while upstreams may not know yet the keys of a gateway that has just joined others. */
  isSettled(): boolean;
}

/** Verifiers look for an unknown key at most every 30 s; before that they would refuse what a new gateway signs. */
const SETTLE_MILLIS = 35_000;

/** Throws `TypeError` when what is on the shelf is not what was written. */
export async function openSharedKeys(options: SharedKeysOptions): Promise<SharedKeys> {
  const { ring, issuer, gateway, noticeKey, shelf, now } = options;
  const peers = createPeerKeys(options);
  const before = await shelf.read();
  if (before !== undefined) peers.restore(before);
  const heardOf: KeyChange[] = [];
  let saidAt = 0;
  let sequence = ring.sequence;
  let published = '';
  let settledAt = 0;

  /** A consumer of the bundle takes no older one, whichever gateway it asks: the sequence only grows, at all of them. */
  function count(): void {
    const kids = jwks()
      .keys.map(({ kid }) => kid)
      .sort()
      .join(' ');
    sequence = Math.max(sequence, peers.sequence) + (kids === published ? 0 : 1);
    published = kids;
  }

  function jwks(): { readonly keys: readonly PublishedKey[] } {
    const own = ring.jwks().keys.filter(({ kid }) => !peers.removed.has(kid));
    const known = new Set(own.map(({ kid }) => kid));
    const others = peers.list().filter(({ kid }) => !known.has(kid));
    return { keys: [...own, ...others.map(publish)] };
  }

  /** Own keys that another gateway took away go here, too. */
  async function letGo(): Promise<void> {
    for (const { kid } of ring.list()) {
      if (!peers.removed.has(kid)) continue;
      const changed = await ring.remove(kid);
      if (changed.ok) heardOf.push(...changed.value);
    }
  }

  async function save(): Promise<void> {
    count();
    await shelf.write(peers.dump());
  }

  await letGo();
  count();
  return {
    get activeKid() {
      return ring.activeKid;
    },
    get sequence() {
      return sequence;
    },
    sign: (typ, claims) => ring.sign(typ, claims),
    jwks,
    verificationKey: (kid) =>
      peers.removed.has(kid) ? undefined : (ring.verificationKey(kid) ?? peers.find(kid)),
    list() {
      const own = new Set(ring.list().map(({ kid }) => kid));
      const others = peers.list().filter(({ kid }) => !own.has(kid));
      return [...ring.list(), ...others.map(({ jwk: _, ...entry }) => entry)];
    },
    async rotate() {
      const changed = await ring.rotate();
      count();
      return changed;
    },
    async remove(kid): Promise<Result<readonly KeyChange[], KeyRefusal>> {
      const isOwn = ring.list().some((key) => key.kid === kid);
      const isAgain = peers.removed.has(kid); // to be told once more: the others may not have heard
      if (!isOwn && !isAgain && peers.find(kid) === undefined) return ring.remove(kid);
      peers.remove(kid);
      await save();
      const changed = isOwn ? await ring.remove(kid) : ok([{ kid, change: 'removed' as const }]);
      count();
      return changed;
    },
    async prune() {
      const changes = [...heardOf.splice(0), ...(await ring.prune())];
      count();
      return changes;
    },
    notice() {
      saidAt = Math.max(now(), saidAt + 1);
      const keys = ring.list().flatMap((entry): NoticedKey[] => {
        const jwk = parseEcPublicJwk(ring.verificationKey(entry.kid)?.export({ format: 'jwk' }) as never);
        return jwk === undefined ? [] : [{ ...entry, jwk }];
      });
      return signNotice({ issuer, gateway, at: saidAt, sequence, keys, removed: peers.removed }, noticeKey);
    },
    async hear(notices) {
      const isFirst = peers.list().length === 0;
      if (!peers.hear(notices)) return;
      const isKnown = peers.list().some(({ kid }) => kid === ring.activeKid);
      if (isFirst && !isKnown && !notices.has(gateway)) settledAt = now() + SETTLE_MILLIS;
      await letGo();
      await save();
    },
    isSettled: () => now() >= settledAt,
  };
}

function publish({ kid, jwk }: NoticedKey): PublishedKey {
  return { ...jwk, kid, use: 'sig', alg: 'ES256' };
}
