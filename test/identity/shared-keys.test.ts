import { createSecretKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  type KeyRing,
  noticeKeyOf,
  openSharedKeys,
  openSigningKeys,
  type SharedKeys,
} from '../../src/identity/index.ts';
import { signNotice } from '../../src/identity/key-notice.ts';
import { parseEcPublicJwk, thumbprintOf } from '../../src/identity/public-key.ts';
import { type ManualClock, manualClock } from '../support/manual-clock.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const ISSUER = 'https://gw.example';
const MINUTES = 60;

const newNoticeKey = (): KeyObject => noticeKeyOf({ key: createSecretKey(randomBytes(32)), source: 'kek' });

type Member = { readonly keys: SharedKeys; readonly ring: KeyRing; readonly shelf: { text?: string } };
type Options = {
  readonly folder?: string;
  readonly noticeKey?: KeyObject;
  readonly issuer?: string;
  readonly shelf?: { text?: string };
};

function fleet() {
  const clock: ManualClock = manualClock();
  const noticeKey = newNoticeKey();
  const complaints: string[] = [];
  async function join(gateway: string, options: Options = {}): Promise<Member> {
    const ring = await openSigningKeys({ folder: options.folder ?? temporaryFolder(), now: clock.now });
    const kept = options.shelf ?? {};
    const keys = await openSharedKeys({
      ring,
      gateway,
      issuer: options.issuer ?? ISSUER,
      noticeKey: options.noticeKey ?? noticeKey,
      shelf: {
        read: async () => kept.text,
        write: async (text) => {
          kept.text = text;
        },
      },
      now: clock.now,
      complain: (who, why) => void complaints.push(`${who}: ${why}`),
    });
    return { keys, ring, shelf: kept };
  }
  return { clock, noticeKey, join, complaints };
}

const tell = (to: Member, gateway: string, notice: string): Promise<void> =>
  to.keys.hear(new Map([[gateway, notice]]));
const kids = ({ keys }: Member): string[] =>
  keys
    .jwks()
    .keys.map(({ kid }) => kid)
    .sort();

describe('the keys of several gateways', () => {
  it('verify at each of them, and are published by each, while each signs with its own', async () => {
    const { join } = fleet();
    const [a, b] = [await join('a'), await join('b')];
    await tell(b, 'a', a.keys.notice());
    await tell(a, 'b', b.keys.notice());
    expect(b.keys.verificationKey(a.keys.activeKid)).toBeDefined();
    expect(kids(a)).toEqual(kids(b));
    expect(kids(a)).toHaveLength(4);
    expect(JSON.stringify([a.keys.jwks(), a.keys.notice(), a.shelf.text])).not.toContain('"d"');
    expect(a.keys.activeKid).toBe(a.ring.activeKid);
    expect(a.keys.list().map(({ gateway }) => gateway)).toEqual([undefined, undefined, 'b', 'b']);
  });

  it('that are rotated at one are known at the others before they sign', async () => {
    const { join, clock } = fleet();
    const [a, b] = [await join('a'), await join('b')];
    await tell(b, 'a', a.keys.notice());
    clock.advance(9 * MINUTES);
    await tell(b, 'a', a.keys.notice());
    clock.advance(6 * MINUTES);
    const old = a.keys.activeKid;
    expect(await a.keys.rotate()).toMatchObject({ ok: true });
    for (const kid of [old, a.keys.activeKid]) expect(b.keys.verificationKey(kid)).toBeDefined();
  });

  it('that are removed at one are good at none, also at the gateway that signs with them', async () => {
    const { join } = fleet();
    const [a, b] = [await join('a'), await join('b')];
    const before = a.keys.notice();
    await tell(b, 'a', before);
    const stolen = a.keys.activeKid;
    expect(await b.keys.remove(stolen)).toEqual({ ok: true, value: [{ kid: stolen, change: 'removed' }] });
    expect(b.keys.verificationKey(stolen)).toBeUndefined();
    await tell(a, 'b', b.keys.notice());
    expect(a.keys.verificationKey(stolen)).toBeUndefined();
    expect(a.keys.activeKid).not.toBe(stolen);
    expect(kids(a)).not.toContain(stolen);
    expect((await a.keys.prune()).map(({ change }) => change)).toEqual(['removed', 'created', 'activated']);
    await tell(b, 'a', before); // played back
    expect(b.keys.verificationKey(stolen)).toBeUndefined();
    expect(await b.keys.remove(stolen)).toMatchObject({ ok: true }); // again, for who did not hear it
    expect(await b.keys.remove('nobody')).toEqual({ ok: false, error: { reason: 'unknown_key' } });
  });

  it('that were removed stay so: for a gateway that starts again, and for one that comes back with the old file', async () => {
    const { join, clock } = fleet();
    const folder = temporaryFolder();
    const shelf = {};
    const [a, b] = [await join('a', { folder }), await join('b', { shelf })];
    const stolen = a.keys.activeKid;
    const before = a.keys.notice();
    await tell(b, 'a', before);
    await b.keys.remove(stolen); // a is down and has heard nothing
    const again = await join('b', { shelf });
    await tell(again, 'a', before);
    expect(again.keys.verificationKey(stolen)).toBeUndefined();
    clock.advance(5);
    const back = await join('a', { folder });
    expect(back.keys.activeKid).toBe(stolen);
    await tell(again, 'a', back.keys.notice());
    expect(again.keys.verificationKey(stolen)).toBeUndefined();
    await tell(back, 'b', again.keys.notice());
    expect(back.keys.activeKid).not.toBe(stolen);
    expect(back.keys.verificationKey(stolen)).toBeUndefined();
  });

  it('that were removed are gone at the others also when the clock of that gateway is set back or runs ahead', async () => {
    const { join, clock } = fleet();
    const folder = temporaryFolder();
    const [a, b] = [await join('a', { folder }), await join('b')];
    clock.advance(40);
    await tell(b, 'a', a.keys.notice());
    clock.advance(-30);
    const again = await join('a', { folder });
    const [stolen, second] = kids(again);
    await again.keys.remove(stolen ?? '');
    await tell(b, 'a', again.keys.notice());
    expect(b.keys.verificationKey(stolen ?? '')).toBeUndefined();
    expect(b.keys.verificationKey(second ?? '')).toBeDefined();
    clock.advance(3600);
    await again.keys.remove(second ?? '');
    const early = again.keys.notice();
    clock.advance(-3600);
    await tell(b, 'a', early);
    expect(b.keys.verificationKey(second ?? '')).toBeUndefined();
  });

  it('of gateways that are gone make way for those of new ones, however many there were', async () => {
    const { join, clock, noticeKey } = fleet();
    const b = await join('b');
    const say = (gateway: string) =>
      signNotice(
        { issuer: ISSUER, gateway, at: clock.now(), sequence: 1, keys: [], removed: new Map() },
        noticeKey,
      );
    await b.keys.hear(new Map(Array.from({ length: 256 }, (_, i) => [`pod-${i}`, say(`pod-${i}`)])));
    clock.advance(10 * MINUTES + 1);
    const a = await join('a');
    await tell(b, 'a', a.keys.notice());
    expect(b.keys.verificationKey(a.keys.activeKid)).toBeDefined();
  });

  it('are remembered over a restart, and no longer than anything of a gateway that is gone can be good', async () => {
    const { join, clock } = fleet();
    const shelf = {};
    const [a, b] = [await join('a'), await join('b', { shelf })];
    await tell(b, 'a', a.keys.notice());
    const again = await join('b', { shelf });
    clock.advance(10 * MINUTES);
    expect(again.keys.verificationKey(a.keys.activeKid)).toBeDefined();
    clock.advance(1);
    expect(again.keys.verificationKey(a.keys.activeKid)).toBeUndefined();
    expect(kids(again)).toHaveLength(2);
  });

  it('have a sequence that only grows and that every gateway takes over', async () => {
    const { join, clock } = fleet();
    const [a, b] = [await join('a'), await join('b')];
    const seen: number[] = [];
    for (let round = 0; round < 3; round++) {
      clock.advance(15 * MINUTES);
      await a.keys.rotate();
      await tell(b, 'a', a.keys.notice());
      seen.push(a.keys.sequence, b.keys.sequence);
      await tell(a, 'b', b.keys.notice());
      seen.push(a.keys.sequence);
    }
    expect(seen).toEqual([...seen].sort((one, other) => one - other));
    expect(b.keys.sequence).toBeGreaterThan(3);
  });

  it('of a gateway that joins others are given time to become known', async () => {
    const { join, clock } = fleet();
    const [a, b] = [await join('a'), await join('b')];
    await tell(b, 'a', a.keys.notice());
    await a.keys.hear(
      new Map([
        ['a', a.keys.notice()],
        ['b', b.keys.notice()],
      ]),
    );
    expect(a.keys.isSettled()).toBe(true);
    expect(b.keys.isSettled()).toBe(false);
    clock.advance(35);
    expect(b.keys.isSettled()).toBe(true);
  });
});

describe('what somebody else writes where a notice should be', () => {
  const foreign = () => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const jwk = parseEcPublicJwk(publicKey.export({ format: 'jwk' }) as never);
    if (jwk === undefined) throw new Error('no key');
    return { kid: thumbprintOf(jwk), jwk, state: 'active', createdAt: 0 } as const;
  };

  it('adds no key: without the key of the gateways, with another, edited, cut, or under another name', async () => {
    const { join, clock, complaints, noticeKey } = fleet();
    const [a, b] = [await join('a'), await join('b')];
    const key = foreign();
    const evil = { issuer: ISSUER, at: clock.now(), sequence: 9, keys: [key], removed: new Map() };
    const real = a.keys.notice();
    const [text = '', mac = ''] = real.split('.');
    const forged = signNotice({ ...evil, gateway: 'a' }, newNoticeKey());
    const body = forged.split('.')[0];
    const tries: [string, string][] = [
      ['a', forged],
      ['a', `${body}.${mac}`],
      ['a', `${body}.`],
      ['a', body ?? ''],
      ['a', ''],
      ['a', `${text}.${mac}.${mac}`],
      ['c', real],
      ['a', signNotice({ ...evil, gateway: 'a', issuer: 'https://other.example' }, noticeKey)],
      ['a', signNotice({ ...evil, gateway: 'a', at: clock.now() + 120_000 }, noticeKey)],
      ['a', signNotice({ ...evil, gateway: 'a', at: clock.now() - 11 * MINUTES * 1000 }, noticeKey)],
      ['__proto__', signNotice({ ...evil, gateway: '__proto__' }, newNoticeKey())],
      ['a', 'x'.repeat(1_000_000)],
    ];
    for (const [gateway, notice] of tries) {
      await tell(b, gateway, notice);
      expect(b.keys.verificationKey(key.kid), notice.slice(0, 40)).toBeUndefined();
    }
    expect(kids(b)).toHaveLength(2);
    expect(complaints.length).toBeGreaterThan(8);
    expect(complaints.join()).not.toContain(text.slice(0, 40));
    await tell(b, 'a', signNotice({ ...evil, gateway: 'a' }, noticeKey)); // so the tries could have succeeded
    expect(b.keys.verificationKey(key.kid)).toBeDefined();
  });

  it('takes no key away, and does not speak for the gateway itself', async () => {
    const { join, clock, noticeKey } = fleet();
    const b = await join('b');
    const removed = new Map([[b.keys.activeKid, clock.now()]]);
    const evil = { issuer: ISSUER, at: clock.now(), sequence: 9, keys: [], removed };
    await tell(b, 'a', signNotice({ ...evil, gateway: 'a' }, newNoticeKey()));
    await tell(b, 'b', signNotice({ ...evil, gateway: 'b' }, noticeKey));
    expect(b.keys.verificationKey(b.keys.activeKid)).toBeDefined();
  });
});
