import { isUtf8 } from 'node:buffer';
import { type KeyObject, verify } from 'node:crypto';
import { isJsonObject, type JsonObject, parseStrictJson } from '../base/index.ts';
import { toDer } from './ecdsa-signature.ts';

/** Longest token, proof or grant that is read at all. */
export const MAX_JWS_LENGTH = 8192;

// 64 bytes are 86 characters of which the last holds two bits: only four endings are canonical base64url.
const ES256_JWS = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]{85}[AQgw])$/;

/** A JWS in compact form (RFC 7515 §7.1), taken apart and not yet trusted. */
export type CompactJws = {
  readonly header: string;
  readonly payload: string;
  readonly signature: string;
};

/** Takes apart what could be a JWS with a 64-byte signature; undefined for anything else. */
export function splitJws(token: string): CompactJws | undefined {
  if (token.length > MAX_JWS_LENGTH) return undefined;
  const parts = ES256_JWS.exec(token);
  if (parts === null) return undefined;
  const [, header = '', payload = '', signature = ''] = parts;
  return { header, payload, signature };
}

/** Reads a header or payload: a JSON object that every parser reads the same way, or undefined. */
export function parseSegment(segment: string): JsonObject | undefined {
  const bytes = Buffer.from(segment, 'base64url');
  if (!isUtf8(bytes)) return undefined;
  const parsed = parseStrictJson(bytes.toString('utf8'));
  return parsed.ok && isJsonObject(parsed.value) ? parsed.value : undefined;
}

/** Checks an ES256 signature (RFC 7518 §3.4) against a P-256 public key. */
export function isSignedBy(jws: CompactJws, key: KeyObject): boolean {
  const input = Buffer.from(`${jws.header}.${jws.payload}`, 'latin1');
  return verify('sha256', input, key, toDer(Buffer.from(jws.signature, 'base64url')));
}

/**
 * The `kid` of a JWS that could be one of ours: its header is exactly `{alg: "ES256", typ, kid}`. A header with
 * more in it (`jwk`, `jku`, `x5u`, `crit`) is not looked at any further (RFC 8725 §3.1, §3.11).
 */
export function readKid(jws: CompactJws, typ: string): string | undefined {
  const header = parseSegment(jws.header) ?? {};
  const { kid } = header;
  const isOurs = header['alg'] === 'ES256' && header['typ'] === typ && Object.keys(header).length === 3;
  return isOurs && typeof kid === 'string' ? kid : undefined;
}
