import { randomBytes } from 'node:crypto';
import { type JsonObject, SallyportError, sha256 } from '../base/index.ts';
import { parseObject, readText } from './bounded-answer.ts';
import type { Discovered } from './discover.ts';
import type { ClientDeps } from './token-endpoint.ts';

/** A person logs in and lets the agent act for them: the authorization code grant with PKCE. */
export type Login = {
  readonly kind: 'login';
  /** As the authorization server knows this client. Without it the client registers itself (RFC 7591). */
  readonly clientId?: string;
  /** Where the server sends the person back to. */
  readonly redirectUri: string;
  /** Brings the person to the address and resolves with the one they were sent back to. */
  readonly visit: (address: URL) => Promise<URL>;
};

type Form = Record<string, string>;

const TIMEOUT_MILLISECONDS = 10_000;

/**
 * Has the person log in and returns the form that redeems the code. The code is bound to this process (PKCE), to its
 * key if there is one (`dpop_jkt`, RFC 9449 §10), and to the server that was asked (RFC 9207).
 * Throws `ERR_REQUEST_REFUSED` when the server or the person says no, or the answer is not to this question.
 */
export async function logIn(
  login: Login,
  { server, resource, scope }: Discovered,
  thumbprint: string | undefined,
  deps: Pick<ClientDeps, 'fetch'>,
): Promise<Form> {
  if (server.authorizationEndpoint === undefined) throw refusal('the server has no authorization_endpoint');
  if (!server.isPkceKnown) throw refusal('the server does not know PKCE with S256');
  const clientId = login.clientId ?? (await register(login, server.registrationEndpoint, deps));
  const [state, verifier] = [secret(), secret()];
  const address = new URL(server.authorizationEndpoint);
  const question: Form = {
    response_type: 'code',
    client_id: clientId,
    redirect_uri: login.redirectUri,
    state,
    code_challenge: sha256(verifier),
    code_challenge_method: 'S256',
    resource,
    ...(scope !== undefined && { scope }),
    ...(thumbprint !== undefined && { dpop_jkt: thumbprint }),
  };
  for (const [name, value] of Object.entries(question)) address.searchParams.set(name, value);
  const answer = await login.visit(address);
  return {
    grant_type: 'authorization_code',
    code: readCode(answer, { redirectUri: login.redirectUri, state, ...server }),
    redirect_uri: login.redirectUri,
    client_id: clientId,
    code_verifier: verifier,
    resource,
  };
}

type Expected = {
  readonly redirectUri: string;
  readonly state: string;
  readonly issuer: string;
  readonly isIssuerInResponse: boolean;
};

/** The code, if the answer is to our question and by the server that was asked (RFC 9207 §2.4). */
function readCode(answer: URL, expected: Expected): string {
  const one = (name: string): string | undefined => {
    const [value, ...others] = answer.searchParams.getAll(name);
    if (others.length > 0) throw refusal(`the answer has ${name} twice`);
    return value;
  };
  const { origin, pathname } = new URL(expected.redirectUri);
  if (answer.origin !== origin || answer.pathname !== pathname) throw refusal('the answer came elsewhere');
  if (one('state') !== expected.state)
    throw refusal('the answer is to another question: its state is not ours');
  const issuer = one('iss');
  if (issuer === undefined ? expected.isIssuerInResponse : issuer !== expected.issuer) {
    throw refusal('the answer is not of the server that was asked: its iss is missing or another');
  }
  const error = one('error');
  if (error !== undefined) throw refusal(`the server answered ${JSON.stringify(error.slice(0, 64))}`);
  const code = one('code');
  if (code === undefined || code === '') throw refusal('the answer has no code');
  return code;
}

async function register(
  { redirectUri }: Login,
  endpoint: string | undefined,
  { fetch }: Pick<ClientDeps, 'fetch'>,
): Promise<string> {
  if (endpoint === undefined) throw refusal('the server registers nobody; give the client id it knows');
  const metadata: JsonObject = {
    client_name: 'Sallyport',
    application_type: 'native',
    redirect_uris: [redirectUri],
    grant_types: ['authorization_code'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
  };
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify(metadata),
    redirect: 'error',
    signal: AbortSignal.timeout(TIMEOUT_MILLISECONDS),
  });
  const id = parseObject(await readText(response))?.['client_id'];
  if (response.ok && typeof id === 'string' && id !== '') return id;
  throw refusal(`registration was answered with HTTP ${response.status}`);
}

function secret(): string {
  return randomBytes(32).toString('base64url');
}

function refusal(why: string): SallyportError {
  return new SallyportError('ERR_REQUEST_REFUSED', `login: ${why}`);
}
