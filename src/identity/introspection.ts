import { randomUUID } from 'node:crypto';
import { createLocalJWKSet, createRemoteJWKSet, type JWTVerifyGetKey, jwtVerify } from 'jose';
import { err, isJsonObject, type JsonObject, ok, type Result, sha256 } from '../base/index.ts';
import type { AuthorityDeps } from './authority.ts';
import { isSignedBy, parseSegment, readKid, splitJws } from './compact-jws.ts';
import type { RunStore } from './run-store.ts';
import { parseSpiffeId } from './spiffe-id.ts';
import type { Form } from './token-request.ts';

/** An upstream that may ask about the call tokens it was sent. */
export type Introspector = {
  /** Its client id: the name of the upstream. */
  readonly name: string;
  /** The audience of its call tokens; it hears of no others. */
  readonly audience: string;
  /** Its keys (RFC 7517), by which it signs its client assertions. */
  readonly jwks: { readonly url: string } | { readonly keys: readonly JsonObject[] };
};

export type IntrospectionRefusal = {
  readonly error: 'invalid_client' | 'invalid_request' | 'temporarily_unavailable';
  readonly description: string;
  /** For the log only. */
  readonly cause?: unknown;
};

export type Introspection = (form: Form) => Promise<Result<JsonObject, IntrospectionRefusal>>;

type Client = Introspector & { readonly keysOf: JWTVerifyGetKey };

const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
const INACTIVE: JsonObject = { active: false };
const MAX_ASSERTION_SECONDS = 300;
const MAX_DEPTH = 16;

/**
 * RFC 7662 for upstreams: is this call token good now, and do its run and all above it still live? An upstream
 * authenticates with a key of its own (private_key_jwt, single use) and hears only of tokens that are for it:
 * of every other one, good or not, that it is not active. Never rejects.
 */
export function createIntrospection(
  introspectors: readonly Introspector[],
  deps: Pick<AuthorityDeps, 'urls' | 'keys' | 'runs' | 'singleUse' | 'now'>,
): Introspection {
  const clients = new Map(
    introspectors.map((entry): [string, Client] => [entry.name, { ...entry, keysOf: keysOf(entry) }]),
  );
  return async (form) => {
    try {
      const client = await authenticateClient(form, clients, deps);
      if (client === undefined) return refuse('invalid_client', 'client_assertion is missing or not good');
      const token = form.get('token');
      if (token === undefined || token === '') return refuse('invalid_request', 'token is missing');
      return ok(await inspect(token, client, deps));
    } catch (cause) {
      return refuse('temporarily_unavailable', 'the gateway cannot tell now; try again later', cause);
    }
  };
}

function refuse(
  error: IntrospectionRefusal['error'],
  description: string,
  cause?: unknown,
): Result<never, IntrospectionRefusal> {
  return err({ error, description, ...(cause === undefined ? {} : { cause }) });
}

function keysOf({ jwks }: Introspector): JWTVerifyGetKey {
  if ('url' in jwks) return createRemoteJWKSet(new URL(jwks.url));
  return createLocalJWKSet({ keys: jwks.keys as never });
}

/** RFC 7523 §3, with the issuer as the only audience. */
async function authenticateClient(
  form: Form,
  clients: ReadonlyMap<string, Client>,
  { urls, singleUse, now }: Pick<AuthorityDeps, 'urls' | 'singleUse' | 'now'>,
): Promise<Client | undefined> {
  const assertion = form.get('client_assertion') ?? '';
  if (form.get('client_assertion_type') !== ASSERTION_TYPE || assertion.length > 8192) return undefined;
  const claimed = parseSegment(assertion.split('.')[1] ?? '')?.['iss'];
  const client = typeof claimed === 'string' ? clients.get(claimed) : undefined;
  if (client === undefined || (form.get('client_id') ?? client.name) !== client.name) return undefined;
  const verified = await verifyAssertion(assertion, client, urls.issuer, now());
  if (!verified.ok) return undefined;
  const claim = await singleUse.claim(
    'assertion',
    `introspect ${sha256(assertion)}`,
    randomUUID(),
    verified.value,
  );
  return claim === 'first' ? client : undefined;
}

async function verifyAssertion(
  assertion: string,
  { name, keysOf: key }: Client,
  issuer: string,
  now: number,
): Promise<Result<number, undefined>> {
  try {
    const { payload } = await jwtVerify(assertion, key, {
      algorithms: ['ES256'],
      issuer: name,
      subject: name,
      requiredClaims: ['exp', 'iat', 'jti'],
      currentDate: new Date(now),
    });
    const { aud, exp = 0, iat = 0 } = payload;
    const isShort = exp - iat <= MAX_ASSERTION_SECONDS && iat <= now / 1000 + 5;
    return aud === issuer && isShort ? ok(exp) : err(undefined);
  } catch {
    return err(undefined);
  }
}

async function inspect(
  token: string,
  { audience }: Client,
  { keys, urls, runs, now }: Pick<AuthorityDeps, 'urls' | 'keys' | 'runs' | 'now'>,
): Promise<JsonObject> {
  const jws = splitJws(token);
  const kid = jws === undefined ? undefined : readKid(jws, 'at+jwt');
  const key = kid === undefined ? undefined : keys.verificationKey(kid);
  if (jws === undefined || key === undefined || !isSignedBy(jws, key)) return INACTIVE;
  const claims = parseSegment(jws.payload) ?? {};
  const { iss, aud, exp, sub, authorization_details: details } = claims;
  if (iss !== urls.issuer || aud !== audience || typeof exp !== 'number') return INACTIVE;
  if (exp <= now() / 1000 || !isForCall(details)) return INACTIVE;
  return (await isAlive(sub, runs)) ? { active: true, token_type: 'Bearer', ...claims } : INACTIVE;
}

/** A run token is for the gateway alone, whatever its audience. */
function isForCall(details: unknown): boolean {
  return (
    Array.isArray(details) && details.every((one) => isJsonObject(one) && one['type'] === 'mcp_tool_call')
  );
}

async function isAlive(sub: unknown, runs: Pick<RunStore, 'find'>): Promise<boolean> {
  const subject = parseSpiffeId(sub as never);
  let id = subject?.kind === 'run' ? subject.run : undefined;
  if (id === undefined) return false;
  for (let depth = 0; depth < MAX_DEPTH; depth++) {
    const found: Awaited<ReturnType<RunStore['find']>> = await runs.find(id);
    if (found?.state !== 'live') return false;
    const { parent } = found.run;
    if (parent === undefined) return true;
    id = parent;
  }
  return false;
}
