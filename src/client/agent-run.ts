import type { RunId } from '../base/index.ts';
import { SallyportError, systemClock } from '../base/index.ts';
import { type GatewayUrl, parseGatewayUrl } from './gateway-url.ts';
import { authorizationDetails, type RunIntent } from './intent.ts';
import { createProofKey, type ProofKey } from './proof-key.ts';
import { type ClientDeps, parseRunToken, postForm, type RunToken } from './token-endpoint.ts';

const GRANT = {
  jwtBearer: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
  tokenExchange: 'urn:ietf:params:oauth:grant-type:token-exchange',
} as const;
const TOKEN = {
  accessToken: 'urn:ietf:params:oauth:token-type:access_token',
  jwt: 'urn:ietf:params:oauth:token-type:jwt',
} as const;

/** After a failed renewal the old token is used on and the next try waits at least this long. */
const RENEWAL_PAUSE_MILLISECONDS = 1000;

export type StartRunOptions = Partial<ClientDeps> & {
  /** Base URL of the agent plane, such as `http://127.0.0.1:8474`. */
  readonly gateway: string;
  /**
   * What proves where the run comes from: a JWT of a trusted issuer, a join token, or a delegation grant.
   * Given as a function it is called again to renew the run token; a plain string is good for one token.
   */
  readonly assertion: string | (() => Promise<string>);
  readonly intent: RunIntent;
};

/**
 * Starts a run: makes its key, attests, and holds the run token from then on.
 * Throws `ERR_REQUEST_REFUSED` when the gateway says no, a `TypeError` when `gateway` cannot be one.
 */
export async function startRun(options: StartRunOptions): Promise<AgentRun> {
  const { assertion, intent } = options;
  const gateway = parseGatewayUrl(options.gateway);
  const deps = { fetch: options.fetch ?? globalThis.fetch, now: options.now ?? systemClock };
  const key = await createProofKey();
  const redeem = async (proof: string): Promise<RunToken> => {
    const requestedAt = deps.now();
    const form = {
      grant_type: GRANT.jwtBearer,
      assertion: proof,
      authorization_details: authorizationDetails(intent),
      resource: gateway.mcp,
    };
    const token = parseRunToken(await postForm(gateway.token, form, key, deps), requestedAt);
    if (!token.ok) throw new SallyportError('ERR_REQUEST_REFUSED', `token answer: ${token.error}`);
    return token.value;
  };
  const attest = typeof assertion === 'string' ? undefined : async () => redeem(await assertion());
  const token = typeof assertion === 'string' ? await redeem(assertion) : await redeem(await assertion());
  return new AgentRun({ gateway, key, token, attest, deps });
}

type RunParts = {
  readonly gateway: GatewayUrl;
  readonly key: ProofKey;
  readonly token: RunToken;
  readonly attest: (() => Promise<RunToken>) | undefined;
  readonly deps: ClientDeps;
};

/** A live run as its agent holds it. Made by `startRun`; disposing of it ends the run. */
export class AgentRun implements AsyncDisposable {
  readonly id: RunId;

  /**
   * A `fetch` for the gateway and nothing else: it adds the run token and a fresh proof, never follows a
   * redirect, and throws a `TypeError` for any other URL, so that the token cannot leave by mistake.
   */
  readonly fetch: typeof globalThis.fetch = async (input, init) => {
    const url = new URL(typeof input === 'object' && 'url' in input ? input.url : input);
    if (!this.#parts.gateway.covers(url)) {
      throw new TypeError(
        `${url.origin}${url.pathname} is not under the gateway ${this.#parts.gateway.base}`,
      );
    }
    const isRequest = typeof input === 'object' && 'url' in input;
    const method = (init?.method ?? (isRequest ? input.method : 'GET')).toUpperCase();
    const headers = new Headers(init?.headers ?? (isRequest ? input.headers : undefined));
    const token = await this.#currentToken();
    headers.set('authorization', `DPoP ${token.value}`);
    headers.set('dpop', await this.#prove(method, url, token));
    return this.#parts.deps.fetch(input, { ...init, method, headers, redirect: 'error' });
  };

  readonly #parts: RunParts;
  #token: RunToken;
  #renewal: Promise<void> | undefined;
  #ending: Promise<void> | undefined;

  constructor(parts: RunParts) {
    this.#parts = parts;
    this.#token = parts.token;
    this.id = parts.token.run;
  }

  /** Where an MCP client reaches an upstream, to be used with `fetch`. */
  mcpUrl(upstream: string): string {
    return `${this.#parts.gateway.mcp}/${encodeURIComponent(upstream)}`;
  }

  /**
   * Asks for a grant for a sub-agent (RFC 8693): single use, good for a minute, at most what this run may do.
   * The sub-agent redeems it as the `assertion` of its own `startRun`, with its own key.
   */
  async delegate(intent: RunIntent): Promise<string> {
    const token = await this.#currentToken();
    const form = {
      grant_type: GRANT.tokenExchange,
      subject_token: token.value,
      subject_token_type: TOKEN.accessToken,
      requested_token_type: TOKEN.jwt,
      authorization_details: authorizationDetails(intent),
    };
    const answer = await this.#post(this.#parts.gateway.token, form, token);
    const grant = answer['access_token'];
    if (typeof grant !== 'string' || answer['issued_token_type'] !== TOKEN.jwt) {
      throw new SallyportError('ERR_REQUEST_REFUSED', 'delegation answer: access_token is not a grant');
    }
    return grant;
  }

  /** Ends the run and everything delegated from it, for good. A second call waits for the first. */
  end(): Promise<void> {
    this.#ending ??= this.#revoke().catch((error: unknown) => {
      this.#ending = undefined;
      throw error;
    });
    return this.#ending;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }

  async #revoke(): Promise<void> {
    const token = this.#token; // one that has run out will do
    await this.#post(this.#parts.gateway.revoke, { token: token.value }, token);
  }

  #post(endpoint: string, form: Readonly<Record<string, string>>, token: RunToken) {
    return postForm(endpoint, form, this.#parts.key, this.#parts.deps, token.hash);
  }

  #prove(method: string, url: URL, token: RunToken): Promise<string> {
    return this.#parts.key.prove({ method, url, now: this.#parts.deps.now(), tokenHash: token.hash });
  }

  /** The token to use now. Past half-life it is renewed beside the request, past its end before it. */
  async #currentToken(): Promise<RunToken> {
    const now = this.#parts.deps.now();
    const isExpired = now >= this.#token.expiresAt;
    if (this.#parts.attest === undefined || this.#ending !== undefined) return this.#token;
    if (!isExpired && now < this.#token.renewAt) return this.#token;
    this.#renewal ??= this.#renew(this.#parts.attest).finally(() => {
      this.#renewal = undefined;
    });
    if (isExpired) await this.#renewal;
    else this.#renewal.catch(() => undefined); // the token in hand is still good, a later request tries again
    return this.#token;
  }

  async #renew(attest: () => Promise<RunToken>): Promise<void> {
    const now = this.#parts.deps.now();
    const pause = Math.max(RENEWAL_PAUSE_MILLISECONDS, (this.#token.expiresAt - now) / 2);
    this.#token = { ...this.#token, renewAt: now + pause };
    const token = await attest();
    if (token.run !== this.id) {
      throw new SallyportError('ERR_REQUEST_REFUSED', 'renewal answer: the token is for another run');
    }
    this.#token = token;
  }
}
