import { readFile } from 'node:fs/promises';
import { createLocalJWKSet, type JSONWebKeySet, type LocalJWKSet } from 'jose';
import { type Clock, isJsonObject, parseStrictJson } from '../../base/index.ts';
import { type Fetch, fetchBounded } from './fetch-bounded.ts';

/** Where an issuer publishes its keys. */
export type KeySetSource = { readonly file: string } | { readonly url: string };

/** The public keys of a foreign issuer. */
export interface IssuerKeys {
  /** The set to verify a token with this `kid` by. Rejects when no set can be had that is recent enough. */
  find(kid: string): Promise<LocalJWKSet>;
}

/** A fetched set is used without asking again for 10 minutes, and for an hour when the issuer is down. */
const FRESH_MILLISECONDS = 600_000;
const STALE_MILLISECONDS = 3_600_000;
/** However many tokens with unknown keys arrive, the issuer is asked this often at most. */
const COOLDOWN_MILLISECONDS = 30_000;
const FIRST_COOLDOWN_MILLISECONDS = 5000;
const MAX_KEYS = 100;

type Loaded = { readonly set: LocalJWKSet; readonly kids: ReadonlySet<string>; readonly at: number };

export function createIssuerKeys(
  source: KeySetSource,
  { now, fetch }: { readonly now: Clock; readonly fetch: Fetch },
): IssuerKeys {
  let loaded: Loaded | undefined;
  let triedAt = Number.NEGATIVE_INFINITY;
  let loading: Promise<void> | undefined;

  async function load(): Promise<void> {
    triedAt = now();
    const text =
      'file' in source ? await readFile(source.file, 'utf8') : await fetchBounded(source.url, fetch);
    loaded = { ...parseKeySet(text), at: now() };
  }

  /** Many callers wait for one attempt; a failure leaves what was there before. */
  async function reload(): Promise<void> {
    loading ??= load().finally(() => {
      loading = undefined;
    });
    await loading;
  }

  return {
    async find(kid) {
      const age = loaded === undefined ? Number.POSITIVE_INFINITY : now() - loaded.at;
      const isWanting = age > FRESH_MILLISECONDS || loaded?.kids.has(kid) !== true;
      const cooldown = loaded === undefined ? FIRST_COOLDOWN_MILLISECONDS : COOLDOWN_MILLISECONDS;
      const mayAsk = loading !== undefined || now() - triedAt >= cooldown;
      let failure: unknown;
      if (isWanting && mayAsk) {
        await reload().catch((error: unknown) => {
          failure = error;
        });
      }
      if (loaded === undefined || now() - loaded.at > STALE_MILLISECONDS) {
        throw new Error('the keys of the issuer cannot be read', { cause: failure });
      }
      return loaded.set;
    },
  };
}

/** Keeps the public keys that have an id; one entry that is odd does not cost the others. */
function parseKeySet(text: string): { readonly set: LocalJWKSet; readonly kids: ReadonlySet<string> } {
  const parsed = parseStrictJson(text);
  const entries = parsed.ok && isJsonObject(parsed.value) ? parsed.value['keys'] : undefined;
  if (!Array.isArray(entries) || entries.length > MAX_KEYS) throw new Error('not a JWK set');
  const keys = entries.filter(
    (key: unknown) =>
      isJsonObject(key) && typeof key['kid'] === 'string' && key['kty'] !== 'oct' && !('d' in key),
  );
  if (keys.length === 0) throw new Error('the JWK set holds no public key with a kid');
  const kids = new Set(keys.map((key: { kid: string }) => key.kid));
  return { set: createLocalJWKSet({ keys } as JSONWebKeySet), kids };
}
