import { createHmac, createSecretKey, hkdfSync, type KeyObject, timingSafeEqual } from 'node:crypto';
import {
  err,
  isJsonObject,
  type JsonObject,
  type JsonValue,
  ok,
  parseStrictJson,
  type Result,
} from '../base/index.ts';
import type { KeyEntry, KeyState } from './key-rotation.ts';
import type { SealingKey } from './key-seal.ts';
import { type EcPublicJwk, parseEcPublicJwk, parseKeyThumbprint, thumbprintOf } from './public-key.ts';

/** A key of a gateway as it says it to the others: the public half. */
export type NoticedKey = KeyEntry & { readonly jwk: EcPublicJwk };

/** What a gateway says about keys to those that it shares its state with. */
export type KeyNotice = {
  /** The public URL that all of them have. */
  readonly issuer: string;
  readonly gateway: string;
  /** When it was said, milliseconds since the epoch; grows with each notice of a gateway. */
  readonly at: number;
  readonly sequence: number;
  readonly keys: readonly NoticedKey[];
  /** Keys that were taken away at any of the gateways, and when: they are good for nothing, whoever has them. */
  readonly removed: ReadonlyMap<string, number>;
};

/** Whose notice is expected. */
export type Expected = Pick<KeyNotice, 'issuer' | 'gateway'>;

const VERSION = 1;
const MAX_LENGTH = 65_536;
const MAX_KEYS = 64;
const STATES: readonly KeyState[] = ['active', 'next', 'retired'];

/**
 * The key by which gateways know each other's notices: it follows from the key that encrypts their keys, which is the
 * same at all of them and in no store that they share. Whoever can only write to the store cannot make a notice.
 */
export function noticeKeyOf({ key }: SealingKey): KeyObject {
  return createSecretKey(Buffer.from(hkdfSync('sha256', key, '', 'sallyport key notices 1', 32)));
}

/** A notice and its HMAC-SHA-256, as `<base64url>.<base64url>`. */
export function signNotice({ keys, removed, ...notice }: KeyNotice, key: KeyObject): string {
  const body = { v: VERSION, ...notice, keys: keys.map(toEntry), removed: Object.fromEntries(removed) };
  const text = Buffer.from(JSON.stringify(body)).toString('base64url');
  return `${text}.${macOf(text, key).toString('base64url')}`;
}

/** Reads what somebody put where a gateway's notice should be. The error says why it is none, for the operator. */
export function openNotice(signed: string, key: KeyObject, expected: Expected): Result<KeyNotice, string> {
  const [text = '', mac = '', ...more] = signed.length > MAX_LENGTH ? [] : signed.split('.');
  const given = Buffer.from(mac, 'base64url');
  const wanted = macOf(text, key);
  if (more.length > 0 || given.length !== wanted.length || !timingSafeEqual(given, wanted)) {
    return err('it was not made with the key that these gateways share');
  }
  const parsed = parseStrictJson(Buffer.from(text, 'base64url').toString('utf8'));
  const notice = parsed.ok && isJsonObject(parsed.value) ? toNotice(parsed.value) : undefined;
  if (notice === undefined) return err('it is not a notice of this version');
  if (notice.issuer !== expected.issuer) return err('it is of gateways with another public URL');
  return notice.gateway === expected.gateway ? ok(notice) : err('it is the notice of another gateway');
}

function macOf(text: string, key: KeyObject): Buffer {
  return createHmac('sha256', key).update(text, 'latin1').digest();
}

function toEntry({ jwk, kid: _follows, gateway: _theirs, ...times }: NoticedKey): JsonObject {
  return { ...times, jwk: { ...jwk } };
}

function toNotice({ v, issuer, gateway, at, sequence, keys, removed }: JsonObject): KeyNotice | undefined {
  if (v !== VERSION || typeof issuer !== 'string' || typeof gateway !== 'string') return undefined;
  if (!isCount(at) || !isCount(sequence) || !isJsonObject(removed)) return undefined;
  if (!Array.isArray(keys) || keys.length > MAX_KEYS) return undefined;
  const parsed = keys.map((entry) => toKey(entry, gateway));
  const over = Object.entries(removed).flatMap(([kid, since]) =>
    parseKeyThumbprint(kid) !== undefined && isCount(since) ? [[kid, since] as const] : [],
  );
  if (parsed.some((entry) => entry === undefined) || over.length < Object.keys(removed).length)
    return undefined;
  return {
    issuer,
    gateway,
    at,
    sequence,
    keys: parsed.filter((entry) => entry !== undefined),
    removed: new Map(over),
  };
}

function toKey(entry: JsonValue, gateway: string): NoticedKey | undefined {
  if (!isJsonObject(entry)) return undefined;
  const { state, createdAt, activatedAt, retiredAt, jwk: given } = entry;
  const jwk = parseEcPublicJwk(given);
  const known = STATES.find((one) => one === state);
  if (jwk === undefined || known === undefined || !isCount(createdAt)) return undefined;
  return {
    kid: thumbprintOf(jwk),
    gateway,
    state: known,
    createdAt,
    ...(isCount(activatedAt) ? { activatedAt } : {}),
    ...(isCount(retiredAt) ? { retiredAt } : {}),
    jwk,
  };
}

function isCount(value: JsonValue | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
