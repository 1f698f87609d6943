import { createLocalJWKSet, type JSONWebKeySet, type LocalJWKSet } from 'jose';
import { isJsonObject, type JsonObject, parseStrictJson } from '../../base/index.ts';

/** What an issuer published, as far as it can be used. */
export type KeyDocument = {
  readonly set: LocalJWKSet;
  readonly kids: ReadonlySet<string>;
  /** How long the issuer says that this is good for. */
  readonly freshSeconds?: number;
  /** `spiffe_sequence` of a trust bundle. */
  readonly sequence?: number;
};

const MAX_KEYS = 100;
const MIN_REFRESH_SECONDS = 30;

/**
 * Reads a JWK set (RFC 7517 §5). Keeps the public keys that have an id; one entry that is odd does not cost the
 * others. A set without keys is good: it says that no token is.
 */
export function parseKeySet(text: string): KeyDocument {
  const { keys } = readDocument(text);
  return toDocument(keys.filter((key) => key['use'] === undefined || key['use'] === 'sig'));
}

/**
 * Reads the trust bundle of one trust domain (SPIFFE Trust Domain and Bundle §4). Only keys for JWT-SVIDs count.
 * Throws for a bundle that is older than the one `before` it: somebody plays back what was replaced.
 */
export function parseSpiffeBundle(text: string, before: KeyDocument | undefined): KeyDocument {
  const { keys, document } = readDocument(text);
  const sequence = wholeNumber(document['spiffe_sequence']);
  const hint = wholeNumber(document['spiffe_refresh_hint']);
  if (sequence !== undefined && before?.sequence !== undefined && sequence < before.sequence) {
    throw new Error('the bundle is older than the one before it');
  }
  if (sequence === undefined && before?.sequence !== undefined) {
    throw new Error('the bundle has lost its sequence number');
  }
  const svidKeys = keys.filter((key) => key['use'] === 'jwt-svid').map(({ use: _spiffe, ...key }) => key); // jose would take the use for one that does not sign
  return {
    ...toDocument(svidKeys),
    ...(sequence === undefined ? {} : { sequence }),
    ...(hint === undefined ? {} : { freshSeconds: Math.max(hint, MIN_REFRESH_SECONDS) }),
  };
}

function readDocument(text: string): { readonly document: JsonObject; readonly keys: readonly JsonObject[] } {
  const parsed = parseStrictJson(text);
  const document = parsed.ok && isJsonObject(parsed.value) ? parsed.value : undefined;
  const keys = document?.['keys'];
  if (document === undefined || !Array.isArray(keys) || keys.length > MAX_KEYS)
    throw new Error('not a JWK set');
  return { document, keys: keys.filter((key) => isJsonObject(key)) };
}

function toDocument(entries: readonly JsonObject[]): KeyDocument {
  const keys = entries.filter(
    (key) => typeof key['kid'] === 'string' && key['kty'] !== 'oct' && !('d' in key) && !('k' in key),
  );
  const kids = new Set(keys.map((key) => String(key['kid'])));
  return { set: createLocalJWKSet({ keys } as unknown as JSONWebKeySet), kids };
}

function wholeNumber(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}
