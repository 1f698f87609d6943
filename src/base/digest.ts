import { hash } from 'node:crypto';
import { canonicalJson } from './canonical-json.ts';
import type { JsonValue } from './json.ts';

/** SHA-256, base64url without padding (43 characters). */
export function sha256(data: string | Uint8Array): string {
  return hash('sha256', data, 'base64url');
}

/** SHA-256 over the canonical form (RFC 8785) of a value, base64url. */
export function digestJson(value: JsonValue): string {
  return sha256(canonicalJson(value));
}
