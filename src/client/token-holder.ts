import type { AccessToken } from './access-token.ts';
import { challengeParam } from './challenge.ts';
import type { ProofKey } from './proof-key.ts';
import type { ClientDeps } from './token-endpoint.ts';

/** Told what goes wrong beside a request, for people. */
export type ClientLog = (message: string, fields?: { readonly [name: string]: string }) => void;

export type TokenHolderParts<Token extends AccessToken> = {
  readonly key: ProofKey;
  /** Absent: the first request goes without, and its refusal says where to get one. */
  readonly token: Token | undefined;
  /**
   * Gets a token, the first or another for the same key. `refused`: the answer that made it necessary; whether to
   * believe what it says is for this function to decide.
   */
  readonly acquire: ((refused: Response | undefined) => Promise<Token>) | undefined;
  /** May a request with the token go there? Throws a `TypeError` otherwise. */
  readonly requireCovered: (url: URL) => void;
  readonly deps: ClientDeps;
  readonly log: ClientLog;
};

/** After a renewal that failed or did not help, the next one waits at least this long, and longer each time. */
const PAUSE_MILLISECONDS = 1000;
const MAX_PAUSE_MILLISECONDS = 60_000;

type Prepared = {
  readonly input: Parameters<typeof globalThis.fetch>[0];
  readonly init: RequestInit;
  readonly url: URL;
  readonly method: string;
  /** Can the same bytes be sent a second time? */
  readonly isRepeatable: boolean;
};

/**
 * Holds the token of one key, renews it, and sends requests with it. Many requests wait for one renewal.
 *
 * INVARIANT: a request is sent again only after a 401, which servers give before they do anything, and at most twice:
 * once with the nonce that the server asked for, once with another token.
 */
export class TokenHolder<Token extends AccessToken> {
  readonly #parts: TokenHolderParts<Token>;
  #token: Token | undefined;
  #renewAt: number;
  #acquiring: Promise<Token> | undefined;
  #isClosed = false;
  #pause = PAUSE_MILLISECONDS;
  /** Until then a refused token is not exchanged: servers that refuse whatever they get are not asked in a storm. */
  #restUntil = Number.NEGATIVE_INFINITY;

  constructor(parts: TokenHolderParts<Token>) {
    this.#parts = parts;
    this.#token = parts.token;
    this.#renewAt = parts.token?.renewAt ?? Number.POSITIVE_INFINITY;
  }

  /** The token in hand, however old. */
  get latest(): Token | undefined {
    return this.#token;
  }

  /** From now on no token is fetched any more. */
  close(): void {
    this.#isClosed = true;
  }

  open(): void {
    this.#isClosed = false;
  }

  /** The token to use now. Past half-life it is renewed beside the request, past its end before it. */
  async current(): Promise<Token | undefined> {
    const token = this.#token;
    const now = this.#parts.deps.now();
    if (token === undefined || this.#isClosed || this.#parts.acquire === undefined) return token;
    if (now < this.#renewAt && now < token.expiresAt) return token;
    const renewal = this.#renew(undefined);
    if (now >= token.expiresAt) return renewal;
    renewal.catch((error: unknown) => this.#parts.log('renewal failed', { error: String(error) })); // goes on with the token in hand
    return token;
  }

  /**
   * Another token after this one was refused; undefined when there is none to be had. Throws when the first token
   * cannot be had at all.
   */
  async replace(refused: Token | undefined, response: Response | undefined): Promise<Token | undefined> {
    const { acquire, deps, log } = this.#parts;
    if (this.#token !== refused) return this.#token; // another request was faster
    if (acquire === undefined || this.#isClosed) return undefined;
    if (this.#acquiring === undefined) {
      if (deps.now() < this.#restUntil) return undefined;
      this.#rest(deps.now() + this.#pause, Math.min(this.#pause * 2, MAX_PAUSE_MILLISECONDS));
    }
    try {
      const token = await this.#renew(response);
      if (refused === undefined) this.#rest(Number.NEGATIVE_INFINITY, PAUSE_MILLISECONDS); // the first is no renewal
      return token;
    } catch (error) {
      if (refused === undefined) throw error;
      log('renewal failed', { error: String(error) }); // the caller gets the refusal itself
      return undefined;
    }
  }

  #rest(until: number, next: number): void {
    this.#restUntil = until;
    this.#pause = next;
  }

  /** A `fetch` with token and proof. Follows no redirect. */
  async send(input: Parameters<typeof globalThis.fetch>[0], init: RequestInit = {}): Promise<Response> {
    const request = prepare(input, init);
    this.#parts.requireCovered(request.url);
    let token = await this.current();
    let mayUseNonce = request.isRepeatable;
    let mayReplace = request.isRepeatable;
    for (;;) {
      const { response, isNonceNew } = await this.#once(request, token);
      if (response.status !== 401) {
        this.#pause = PAUSE_MILLISECONDS;
        return response;
      }
      if (mayUseNonce && isNonceNew && challengeParam(response, 'error') === 'use_dpop_nonce') {
        mayUseNonce = false;
        await response.body?.cancel();
        continue;
      }
      if (!mayReplace || !isTokenRefused(response, token)) return response;
      mayReplace = false;
      const other = await this.replace(token, response);
      if (other === undefined) return response;
      await response.body?.cancel();
      token = other;
    }
  }

  async #once({ input, init, url, method }: Prepared, token: Token | undefined) {
    const { key, deps } = this.#parts;
    const headers = new Headers(init.headers ?? (isRequest(input) ? input.headers : undefined));
    headers.delete('authorization');
    headers.delete('dpop');
    if (token !== undefined) headers.set('authorization', `${token.scheme} ${token.value}`);
    if (token?.scheme === 'DPoP') {
      headers.set('dpop', await key.prove({ method, url, now: deps.now(), tokenHash: token.hash }));
    }
    const response = await deps.fetch(input, { ...init, method, headers, redirect: 'error' });
    return { response, isNonceNew: key.observe(url, response) };
  }

  #renew(refused: Response | undefined): Promise<Token> {
    this.#acquiring ??= this.#acquire(refused).finally(() => {
      this.#acquiring = undefined;
    });
    return this.#acquiring;
  }

  async #acquire(refused: Response | undefined): Promise<Token> {
    const { acquire, deps } = this.#parts;
    if (acquire === undefined) throw new TypeError('the assertion was good for one token only');
    const now = deps.now();
    const left = (this.#token?.expiresAt ?? now) - now;
    this.#renewAt = now + Math.max(PAUSE_MILLISECONDS, left / 2);
    const token = await acquire(refused);
    this.#token = token;
    this.#renewAt = token.renewAt;
    return token;
  }
}

/** A 401 with a token says in its challenge whether the token is what is wrong (RFC 6750 §3.1). */
function isTokenRefused(response: Response, token: AccessToken | undefined): boolean {
  return token === undefined || challengeParam(response, 'error') === 'invalid_token';
}

function isRequest(input: Parameters<typeof globalThis.fetch>[0]): input is Request {
  return typeof input === 'object' && 'url' in input;
}

function prepare(input: Parameters<typeof globalThis.fetch>[0], init: RequestInit): Prepared {
  const url = new URL(isRequest(input) ? input.url : input);
  const method = (init.method ?? (isRequest(input) ? input.method : 'GET')).toUpperCase();
  const body = init.body ?? (isRequest(input) ? input.body : undefined);
  const isStream =
    body instanceof ReadableStream ||
    (typeof body === 'object' && body !== null && Symbol.asyncIterator in body);
  return { input, init, url, method, isRepeatable: !isStream };
}
