import { randomUUID } from 'node:crypto';
import { type Clock, err, isJsonObject, ok, type Result } from '../base/index.ts';
import { type CredentialFailure, mintClientAssertion, type SigningKeys } from '../identity/index.ts';
import { exchange, type Fetch, isHeaderToken, parseDocument } from './exchange.ts';

/** An authorization server of an upstream, as the configuration names it, and the gateway as its client. */
export type OAuthServerOptions = {
  /** RFC 8414 issuer; everything else about the server is read from its metadata. */
  readonly issuer: string;
  readonly clientId: string;
};

export type OAuthServerDeps = {
  readonly keys: SigningKeys;
  readonly now: Clock;
  readonly fetch: Fetch;
};

export type TokenAnswer = { readonly token: string; readonly expiresIn: number };

/** The two endpoints that are used, authenticated with a key of the gateway (private_key_jwt). */
export type OAuthServer = {
  requestToken(form: Readonly<Record<string, string>>): Promise<Result<TokenAnswer, CredentialFailure>>;
  /** RFC 7009. Rejects when the server does not confirm; resolves at once where it has no such endpoint. */
  revoke(token: string): Promise<void>;
};

type Metadata = { readonly token: string; readonly revocation?: string };

const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
const METADATA_SECONDS = 300;
/** RFC 6749 §5.1 only recommends `expires_in`; without it nothing longer is assumed. */
const ASSUMED_SECONDS = 60;

/** Nothing an upstream answers leads here: the issuer is the configured one, and its metadata must say the same. */
export function createOAuthServer(options: OAuthServerOptions, deps: OAuthServerDeps): OAuthServer {
  let known: { readonly metadata: Metadata; readonly until: number } | undefined;

  async function discover(): Promise<Result<Metadata, CredentialFailure>> {
    const nowSeconds = deps.now() / 1000;
    if (known !== undefined && known.until > nowSeconds) return ok(known.metadata);
    const metadata = await fetchMetadata(options.issuer, deps.fetch);
    if (metadata.ok) known = { metadata: metadata.value, until: nowSeconds + METADATA_SECONDS };
    return metadata;
  }

  function post(url: string, form: Readonly<Record<string, string>>) {
    const { clientId, issuer } = options;
    const assertion = mintClientAssertion({ clientId, audience: issuer, id: randomUUID() }, deps);
    const body = new URLSearchParams({
      ...form,
      client_id: clientId,
      client_assertion_type: ASSERTION_TYPE,
      client_assertion: assertion,
    });
    return exchange(url, { method: 'POST', body, headers: { accept: 'application/json' } }, deps.fetch);
  }

  return {
    async requestToken(form) {
      const metadata = await discover();
      if (!metadata.ok) return metadata;
      const answer = await post(metadata.value.token, form);
      return answer.ok ? readToken(answer.value.status, parseDocument(answer.value.text)) : answer;
    },
    async revoke(token) {
      const metadata = await discover();
      if (!metadata.ok) throw new Error(metadata.error.detail);
      const { revocation } = metadata.value;
      if (revocation === undefined) throw new Error('the authorization server has no revocation endpoint');
      const answer = await post(revocation, { token, token_type_hint: 'access_token' });
      if (!answer.ok) throw new Error(answer.error.detail);
      if (answer.value.status !== 200) throw new Error(`revocation answered ${answer.value.status}`);
    },
  };
}

/** RFC 8414 §3.1 first, then what OpenID Connect servers have. */
async function fetchMetadata(issuer: string, fetch: Fetch): Promise<Result<Metadata, CredentialFailure>> {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/$/, '');
  const places = [
    `${origin}/.well-known/oauth-authorization-server${path}`,
    `${origin}${path}/.well-known/openid-configuration`,
  ];
  for (const place of places) {
    const answer = await exchange(place, { headers: { accept: 'application/json' } }, fetch);
    if (!answer.ok) return answer;
    if (answer.value.status === 200) return readMetadata(issuer, parseDocument(answer.value.text));
  }
  return err({ detail: `${new URL(issuer).host} publishes no authorization server metadata` });
}

function readMetadata(issuer: string, document: unknown): Result<Metadata, CredentialFailure> {
  if (!isJsonObject(document) || document['issuer'] !== issuer) {
    return err({ detail: 'the metadata is of another issuer than the configured one' });
  }
  const { token_endpoint: token, revocation_endpoint: revocation } = document;
  if (!isEndpoint(token, issuer)) return err({ detail: 'the metadata has no token_endpoint fit for use' });
  return ok({ token, ...(isEndpoint(revocation, issuer) ? { revocation } : {}) });
}

/** As safe as the issuer: https, or the loopback address that was configured. */
function isEndpoint(value: unknown, issuer: string): value is string {
  if (typeof value !== 'string' || !URL.canParse(value)) return false;
  const url = new URL(value);
  return url.protocol === 'https:' || url.origin === new URL(issuer).origin;
}

function readToken(status: number, body: unknown): Result<TokenAnswer, CredentialFailure> {
  const answer = isJsonObject(body) ? body : {};
  if (status !== 200) {
    const code = /^[\x21-\x7e]{1,64}$/.exec(String(answer['error'] ?? ''))?.[0] ?? 'no error code';
    return err({ detail: `the authorization server refused: ${status} ${code}` });
  }
  const { access_token: token, token_type: type, expires_in: expiresIn = ASSUMED_SECONDS } = answer;
  if (!isHeaderToken(token) || typeof type !== 'string' || type.toLowerCase() !== 'bearer') {
    return err({ detail: 'the authorization server gave no bearer token' });
  }
  if (typeof expiresIn !== 'number' || !(expiresIn > 0)) {
    return err({ detail: 'the authorization server gave a token without a life' });
  }
  return ok({ token, expiresIn: Math.floor(expiresIn) });
}
