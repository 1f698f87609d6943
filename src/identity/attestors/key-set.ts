import { readFile } from 'node:fs/promises';
import type { LocalJWKSet } from 'jose';
import type { Clock } from '../../base/index.ts';
import { type Fetch, fetchBounded } from './fetch-bounded.ts';
import { type KeyDocument, parseKeySet } from './key-document.ts';

/** Where an issuer publishes its keys. `issuer`: its OpenID Connect discovery document says where. */
export type KeySetSource =
  | { readonly file: string }
  | { readonly url: string }
  | { readonly discoverFrom: string };

/** The public keys of a foreign issuer. */
export interface IssuerKeys {
  /**
   * The set to verify a token with this `kid` by; a token without one is good for a set with one key that fits.
   * Rejects when no set can be had that is recent enough.
   */
  find(kid: string | undefined): Promise<LocalJWKSet>;
}

export type IssuerKeysDeps = {
  readonly now: Clock;
  readonly fetch: Fetch;
  /** What is wrong with a `jwks_uri` that a discovery document names; undefined when it may be fetched. */
  readonly urlProblem?: (url: string) => string | undefined;
  readonly parse?: (text: string, before: KeyDocument | undefined) => KeyDocument;
};

/** A fetched set is used without asking again for 10 minutes, and for an hour when the issuer is down. */
const FRESH_MILLISECONDS = 600_000;
const STALE_MILLISECONDS = 3_600_000;
/** However many tokens with unknown keys arrive, the issuer is asked this often at most. */
const COOLDOWN_MILLISECONDS = 30_000;
const FIRST_COOLDOWN_MILLISECONDS = 5000;
/** A key id that the issuer did not know is not asked for again so soon. */
const UNKNOWN_MILLISECONDS = 60_000;
const MAX_UNKNOWN = 256;

type Loaded = { readonly document: KeyDocument; readonly at: number };

export function createIssuerKeys(source: KeySetSource, deps: IssuerKeysDeps): IssuerKeys {
  const { now, parse = parseKeySet } = deps;
  const unknown = new Map<string, number>();
  let loaded: Loaded | undefined;
  let triedAt = Number.NEGATIVE_INFINITY;
  let loading: Promise<void> | undefined;

  async function load(): Promise<void> {
    triedAt = now();
    const text = await read(source, deps);
    loaded = { document: parse(text, loaded?.document), at: now() };
  }

  /** Many callers wait for one attempt; a failure leaves what was there before. */
  async function reload(): Promise<void> {
    loading ??= load().finally(() => {
      loading = undefined;
    });
    await loading;
  }

  function isWanting(kid: string | undefined): boolean {
    if (loaded === undefined) return true;
    const { freshSeconds } = loaded.document;
    const freshFor = freshSeconds === undefined ? FRESH_MILLISECONDS : freshSeconds * 1000;
    if (now() - loaded.at > Math.min(freshFor, FRESH_MILLISECONDS)) return true;
    if (kid === undefined) return false;
    return !loaded.document.kids.has(kid) && now() - (unknown.get(kid) ?? -Infinity) >= UNKNOWN_MILLISECONDS;
  }

  function rememberUnknown(kid: string): void {
    if (loaded?.document.kids.has(kid) !== false) return;
    unknown.delete(kid);
    unknown.set(kid, now());
    if (unknown.size > MAX_UNKNOWN) unknown.delete(unknown.keys().next().value ?? '');
  }

  return {
    async find(kid) {
      const cooldown = loaded === undefined ? FIRST_COOLDOWN_MILLISECONDS : COOLDOWN_MILLISECONDS;
      const mayAsk = loading !== undefined || now() - triedAt >= cooldown;
      let failure: unknown;
      if (mayAsk && isWanting(kid)) {
        await reload().catch((error: unknown) => {
          failure = error;
        });
        if (failure === undefined && kid !== undefined) rememberUnknown(kid);
      }
      if (loaded === undefined || now() - loaded.at > STALE_MILLISECONDS) {
        throw new Error('the keys of the issuer cannot be read', { cause: failure });
      }
      return loaded.document.set;
    },
  };
}

async function read(source: KeySetSource, deps: IssuerKeysDeps): Promise<string> {
  if ('file' in source) return readFile(source.file, 'utf8');
  if ('url' in source) return fetchBounded(source.url, deps.fetch);
  const uri = await discover(source.discoverFrom, deps);
  return fetchBounded(uri, deps.fetch);
}

/** OpenID Connect Discovery 1.0 §4: the document must be of the very issuer that was asked. */
async function discover(issuer: string, { fetch, urlProblem }: IssuerKeysDeps): Promise<string> {
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  const document: unknown = JSON.parse(await fetchBounded(url, fetch));
  const { issuer: named, jwks_uri: uri } = (document ?? {}) as { issuer?: unknown; jwks_uri?: unknown };
  if (named !== issuer) throw new Error('the discovery document is of another issuer');
  if (typeof uri !== 'string') throw new Error('the discovery document has no jwks_uri');
  const problem = urlProblem?.(uri);
  if (problem !== undefined) throw new Error(`the jwks_uri of the discovery document ${problem}`);
  return uri;
}
