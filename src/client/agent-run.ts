import type { JsonObject, Result, RunId } from '../base/index.ts';
import { SallyportError, systemClock } from '../base/index.ts';
import { parseRunToken, type RunToken } from './access-token.ts';
import { type GatewayUrl, parseGatewayUrl } from './gateway-url.ts';
import { authorizationDetails, type RunIntent } from './intent.ts';
import { createProofKey, type ProofKey } from './proof-key.ts';
import { askEndpoint, type ClientDeps, type FormRefusal, postForm } from './token-endpoint.ts';
import { type ClientLog, TokenHolder } from './token-holder.ts';

const GRANT = {
  jwtBearer: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
  tokenExchange: 'urn:ietf:params:oauth:grant-type:token-exchange',
} as const;
const TOKEN = {
  accessToken: 'urn:ietf:params:oauth:token-type:access_token',
  jwt: 'urn:ietf:params:oauth:token-type:jwt',
} as const;

/** Errors of a token exchange that a fresh token may mend (RFC 8693 §2.2.2, RFC 6750 §3.1). */
const TOKEN_AT_FAULT: ReadonlySet<string | undefined> = new Set(['invalid_request', 'invalid_token']);

export type StartRunOptions = Partial<ClientDeps> & {
  /** Base URL of the agent plane, such as `http://127.0.0.1:8474`. */
  readonly gateway: string;
  /**
   * What proves where the run comes from: a JWT of a trusted issuer, a join token, or a delegation grant.
   * Given as a function it is called again to renew the run token; a plain string is good for one token.
   */
  readonly assertion: string | (() => Promise<string>);
  readonly intent: RunIntent;
  /** Told when a renewal fails while the token in hand is still used. */
  readonly log?: ClientLog;
};

/**
 * Starts a run: makes its key, attests, and holds the run token from then on.
 * Throws `ERR_REQUEST_REFUSED` when the gateway says no, a `TypeError` when `gateway` cannot be one.
 */
export async function startRun(options: StartRunOptions): Promise<AgentRun> {
  const { assertion, intent, log = () => undefined } = options;
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
    const token = parseRunToken(await postForm(gateway.token, form, { key }, deps), requestedAt);
    if (!token.ok) throw new SallyportError('ERR_REQUEST_REFUSED', `token answer: ${token.error}`);
    return token.value;
  };
  const attest = typeof assertion === 'string' ? undefined : async () => redeem(await assertion());
  const token = typeof assertion === 'string' ? await redeem(assertion) : await redeem(await assertion());
  return new AgentRun({ gateway, key, token, attest, deps, log });
}

type RunParts = {
  readonly gateway: GatewayUrl;
  readonly key: ProofKey;
  readonly token: RunToken;
  readonly attest: (() => Promise<RunToken>) | undefined;
  readonly deps: ClientDeps;
  readonly log: ClientLog;
};

/** A live run as its agent holds it. Made by `startRun`; disposing of it ends the run. */
export class AgentRun implements AsyncDisposable {
  readonly id: RunId;

  /**
   * A `fetch` for the gateway and nothing else: it adds the run token and a fresh proof, never follows a
   * redirect, and throws a `TypeError` for any other URL, so that the token cannot leave by mistake.
   *
   * When the gateway no longer takes the token it attests again, at the same gateway whatever the answer names, and
   * repeats the request once: a 401 is given before anything is done.
   */
  readonly fetch: typeof globalThis.fetch = (input, init) => this.#tokens.send(input, init);

  readonly #parts: RunParts;
  readonly #tokens: TokenHolder<RunToken>;
  #ending: Promise<void> | undefined;

  constructor(parts: RunParts) {
    const { gateway, key, token, attest, deps, log } = parts;
    this.#parts = parts;
    this.id = token.run;
    this.#tokens = new TokenHolder({
      key,
      token,
      acquire: attest && (async () => this.#requireSameRun(await attest())),
      requireCovered: (url) => requireCovered(gateway, url),
      deps,
      log,
    });
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
    const token = (await this.#tokens.current()) ?? this.#parts.token;
    let answer = await this.#exchange(token, intent);
    if (!answer.ok && TOKEN_AT_FAULT.has(answer.error.error)) {
      const other = await this.#tokens.replace(token, undefined);
      if (other !== undefined) answer = await this.#exchange(other, intent);
    }
    if (!answer.ok) throw new SallyportError('ERR_REQUEST_REFUSED', answer.error.message);
    const { access_token: grant, issued_token_type: type } = answer.value;
    if (typeof grant === 'string' && type === TOKEN.jwt) return grant;
    throw new SallyportError('ERR_REQUEST_REFUSED', 'delegation answer: access_token is not a grant');
  }

  /** Ends the run and everything delegated from it, for good. A second call waits for the first. */
  end(): Promise<void> {
    this.#tokens.close();
    this.#ending ??= this.#revoke().catch((error: unknown) => {
      this.#ending = undefined;
      this.#tokens.open();
      throw error;
    });
    return this.#ending;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }

  async #revoke(): Promise<void> {
    const token = this.#tokens.latest ?? this.#parts.token; // one that has run out will do
    const { gateway, key, deps } = this.#parts;
    await postForm(gateway.revoke, { token: token.value }, { key, tokenHash: token.hash }, deps);
  }

  #exchange(token: RunToken, intent: RunIntent): Promise<Result<JsonObject, FormRefusal>> {
    const { gateway, key, deps } = this.#parts;
    const form = {
      grant_type: GRANT.tokenExchange,
      subject_token: token.value,
      subject_token_type: TOKEN.accessToken,
      requested_token_type: TOKEN.jwt,
      authorization_details: authorizationDetails(intent),
    };
    return askEndpoint(gateway.token, form, { key, tokenHash: token.hash }, deps);
  }

  #requireSameRun(token: RunToken): RunToken {
    if (token.run === this.id) return token;
    throw new SallyportError('ERR_REQUEST_REFUSED', 'renewal answer: the token is for another run');
  }
}

function requireCovered(gateway: GatewayUrl, url: URL): void {
  if (gateway.covers(url)) return;
  throw new TypeError(`${url.origin}${url.pathname} is not under the gateway ${gateway.base}`);
}
