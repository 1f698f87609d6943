import { SallyportError, systemClock } from '../base/index.ts';
import { createReachableFetch, reachOf, urlProblem } from '../identity/index.ts';
import { type AccessToken, parseAccessToken } from './access-token.ts';
import { type Discovered, discoverServer } from './discover.ts';
import { type Login, logIn } from './login.ts';
import { createProofKey, type ProofKey } from './proof-key.ts';
import { audienceOf } from './server-metadata.ts';
import { type ClientDeps, postForm } from './token-endpoint.ts';
import { type ClientLog, TokenHolder } from './token-holder.ts';

/** Makes or reads a JWT for the authorization server with this issuer: its `aud` must be that. */
export type AssertionSource = (issuer: string) => Promise<string>;

/** What a token is asked for with. There are no client secrets. */
export type Credential =
  /** A JWT that a platform vouches with (RFC 7523 §2.1), as workloads have them. */
  | { readonly kind: 'assertion'; readonly assertion: AssertionSource; readonly clientId?: string }
  /** `client_credentials` with a JWT by the client's own key (RFC 7523 §2.2). */
  | { readonly kind: 'client-assertion'; readonly assertion: AssertionSource; readonly clientId: string }
  | Login;

export type OpenResourceOptions = Partial<ClientDeps> & {
  /** The MCP endpoint. */
  readonly url: string;
  readonly credential: Credential;
  /** The only authorization server that will do. Without it, the first that the resource names. */
  readonly issuer?: string;
  /** Takes tokens that are good for anyone who sees them, where the server knows no DPoP. Default false. */
  readonly allowBearer?: boolean;
  readonly log?: ClientLog;
};

/** An MCP endpoint of anyone, with a token for it. Nothing is left behind when it is dropped. */
export type OpenResource = {
  readonly url: string;
  /**
   * A `fetch` for the endpoint and what lies below it. The first request goes out without a token; its refusal says
   * where to get one. That authorization server is kept from then on, whatever the endpoint says later.
   */
  readonly fetch: typeof globalThis.fetch;
};

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const CLIENT_ASSERTION = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

/**
 * Opens an MCP endpoint that is no gateway of ours, as MCP's authorization chapter has it. Authorization servers are
 * reached over https at public addresses, unless the endpoint itself is on loopback or `issuer` names the server.
 * Requests throw `ERR_REQUEST_REFUSED` when no token is to be had. Throws a `TypeError` for a URL that cannot be.
 */
export async function openResource(options: OpenResourceOptions): Promise<OpenResource> {
  const { credential, issuer, allowBearer = false, log = () => undefined } = options;
  const url = parseEndpoint(options.url);
  const now = options.now ?? systemClock;
  const key = await createProofKey();
  const reach = issuer === undefined ? reachOf(url.href, false) : 'private';
  const toEndpoint = { fetch: options.fetch ?? globalThis.fetch, now };
  const toServer = { fetch: guard(options.fetch ?? createReachableFetch({ reach }), reach), now };
  let known: Discovered | undefined;
  const acquire = async (refused: Response | undefined): Promise<AccessToken> => {
    if (refused !== undefined)
      known ??= await discoverServer({ url, refused, issuer }, { toEndpoint, toServer });
    if (known === undefined)
      throw new SallyportError('ERR_REQUEST_REFUSED', 'the endpoint asked for no token');
    return askForToken(credential, known, { key, allowBearer }, toServer);
  };
  const tokens = new TokenHolder<AccessToken>({
    key,
    token: undefined,
    acquire,
    requireCovered: (target) => requireBelow(url, target),
    deps: toEndpoint,
    log,
  });
  return { url: url.href, fetch: (input, init) => tokens.send(input, init) };
}

type Asking = { readonly key: ProofKey; readonly allowBearer: boolean };

async function askForToken(
  credential: Credential,
  known: Discovered,
  { key, allowBearer }: Asking,
  deps: ClientDeps,
): Promise<AccessToken> {
  const { server } = known;
  if (!server.isDpopKnown && !allowBearer) {
    const why =
      'binds no tokens to keys (dpop_signing_alg_values_supported); bearer tokens are not allowed here';
    throw new SallyportError('ERR_REQUEST_REFUSED', `${server.issuer} ${why}`);
  }
  const proofKey = server.isDpopKnown ? key : undefined;
  const form = await toForm(credential, known, proofKey, deps);
  const requestedAt = deps.now();
  const answer = await postForm(server.tokenEndpoint, form, { key: proofKey }, deps);
  const token = parseAccessToken(answer, requestedAt, { allowBearer });
  if (token.ok && credential.kind === 'login') return { ...token.value, renewAt: token.value.expiresAt }; // asks nobody early
  if (token.ok) return token.value;
  throw new SallyportError('ERR_REQUEST_REFUSED', `token answer: ${token.error}`);
}

async function toForm(
  credential: Credential,
  known: Discovered,
  key: ProofKey | undefined,
  deps: ClientDeps,
): Promise<Record<string, string>> {
  const { server, resource, scope } = known;
  const wanted = { resource, ...(scope !== undefined && { scope }) };
  switch (credential.kind) {
    case 'assertion': {
      const { clientId } = credential;
      const assertion = await assertionFor(credential.assertion, server.issuer);
      return {
        grant_type: JWT_BEARER,
        assertion,
        ...wanted,
        ...(clientId !== undefined && { client_id: clientId }),
      };
    }
    case 'client-assertion':
      return {
        grant_type: 'client_credentials',
        client_id: credential.clientId,
        client_assertion_type: CLIENT_ASSERTION,
        client_assertion: await assertionFor(credential.assertion, server.issuer),
        ...wanted,
      };
    case 'login':
      return logIn(credential, known, key?.thumbprint, deps);
  }
}

/** An assertion goes to the server it was made for and to no other: elsewhere it could be used as it is. */
async function assertionFor(source: AssertionSource, issuer: string): Promise<string> {
  const assertion = await source(issuer);
  const audience = audienceOf(assertion);
  if (audience?.length === 1 && (audience[0] === issuer || audience[0] === `${issuer}/`)) return assertion;
  const why = audience === undefined ? 'it is not a JWT' : 'its aud is not that issuer alone';
  throw new SallyportError('ERR_REQUEST_REFUSED', `the assertion was not sent to ${issuer}: ${why}`);
}

/** What a server names is looked at before anything goes there, also where a test or caller brings its own `fetch`. */
function guard(
  fetch: typeof globalThis.fetch,
  reach: Parameters<typeof urlProblem>[1],
): typeof globalThis.fetch {
  return async (input, init) => {
    const problem = urlProblem(String(input instanceof Request ? input.url : input), reach);
    if (problem !== undefined) throw new TypeError(`the address ${problem}`);
    return fetch(input, init);
  };
}

function parseEndpoint(value: string): URL {
  const problem = urlProblem(value, 'private');
  if (problem !== undefined) throw new TypeError(`url ${problem}`);
  const url = new URL(value);
  if (url.hash !== '') throw new TypeError('url must not have a fragment');
  return url;
}

function requireBelow(url: URL, target: URL): void {
  const isThere = target.pathname === url.pathname || target.pathname.startsWith(`${url.pathname}/`);
  if (target.origin === url.origin && isThere) return;
  throw new TypeError(`${target.origin}${target.pathname} is not under ${url.origin}${url.pathname}`);
}
