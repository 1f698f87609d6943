import { createPublicKey, type KeyObject } from 'node:crypto';
import { isJsonObject, type JsonObject, type JsonValue, sha256 } from '../base/index.ts';
import type { KeyThumbprint } from './run.ts';

/** A P-256 point as a JWK (RFC 7518 §6.2.1). */
export type EcPublicJwk = {
  readonly kty: 'EC';
  readonly crv: 'P-256';
  readonly x: string;
  readonly y: string;
};

// 32 bytes are 43 characters of which the last holds four bits.
const COORDINATE = /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/;
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv'];

/** The public P-256 key in a JWK; undefined for other keys and for any key that comes with its private half. */
export function parseEcPublicJwk(value: JsonValue | undefined): EcPublicJwk | undefined {
  if (!isJsonObject(value) || PRIVATE_MEMBERS.some((member) => member in value)) return undefined;
  const { kty, crv, x, y, use, alg } = value;
  if (kty !== 'EC' || crv !== 'P-256' || !isCoordinate(x) || !isCoordinate(y)) return undefined;
  if ((use !== undefined && use !== 'sig') || (alg !== undefined && alg !== 'ES256')) return undefined;
  return { kty, crv, x, y };
}

function isCoordinate(value: JsonValue | undefined): value is string {
  return typeof value === 'string' && COORDINATE.test(value);
}

/** RFC 7638 thumbprint: SHA-256 over the required members in lexical order. */
export function thumbprintOf({ x, y }: EcPublicJwk): KeyThumbprint {
  return sha256(`{"crv":"P-256","kty":"EC","x":"${x}","y":"${y}"}`) as KeyThumbprint;
}

/** Reads a thumbprint: 43 characters of base64url. */
export function parseKeyThumbprint(value: JsonValue | undefined): KeyThumbprint | undefined {
  return isCoordinate(value) ? (value as KeyThumbprint) : undefined;
}

/** Imports a key for verification; undefined when the point is not on the curve. */
export function importEcPublicKey({ kty, crv, x, y }: EcPublicJwk): KeyObject | undefined {
  try {
    return createPublicKey({ key: { kty, crv, x, y }, format: 'jwk' });
  } catch {
    return undefined;
  }
}

/** The public half of a P-256 key, for a JWK set. */
export function exportEcPublicJwk(key: KeyObject): EcPublicJwk | undefined {
  const { kty, crv, x, y } = key.export({ format: 'jwk' });
  return parseEcPublicJwk({ kty, crv, x, y } as JsonObject);
}
