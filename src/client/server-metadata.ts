import { err, isJsonObject, type JsonObject, type JsonValue, ok, type Result } from '../base/index.ts';

/** What a resource says about itself (RFC 9728 §2). */
export type ResourceMetadata = {
  /** To be sent as it is written (RFC 8707 §2). */
  readonly resource: string;
  readonly issuers: readonly string[];
  readonly scopes: readonly string[] | undefined;
};

/** What an authorization server says about itself (RFC 8414 §2), as far as it is used. */
export type ServerMetadata = {
  readonly issuer: string;
  readonly tokenEndpoint: string;
  readonly authorizationEndpoint: string | undefined;
  readonly registrationEndpoint: string | undefined;
  /** Binds tokens to ES256 keys (RFC 9449 §5.1). */
  readonly isDpopKnown: boolean;
  readonly isPkceKnown: boolean;
  /** Names itself in authorization responses (RFC 9207 §3). */
  readonly isIssuerInResponse: boolean;
};

const WELL_KNOWN = '/.well-known/';
const RESOURCE = `${WELL_KNOWN}oauth-protected-resource`;
const SERVER = `${WELL_KNOWN}oauth-authorization-server`;
const OPENID = `${WELL_KNOWN}openid-configuration`;

/**
 * Where the metadata of a resource may be, best first: where its challenge says, which must be the resource's own
 * origin, else at the well-known places (RFC 9728 §3.1, §5.1).
 */
export function resourceMetadataUrls(
  resource: URL,
  named: string | undefined,
): Result<readonly string[], string> {
  const { origin } = resource;
  const path = resource.pathname.replace(/\/$/, '');
  if (named === undefined) {
    return ok([...new Set([`${origin}${RESOURCE}${path}`, `${origin}${RESOURCE}`])]);
  }
  const url = URL.canParse(named) ? new URL(named) : undefined;
  const isOwn = url?.origin === origin && url.username === '' && url.password === '';
  return url !== undefined && isOwn
    ? ok([url.href])
    : err('resource_metadata is not at the origin of the resource');
}

/** Reads metadata of the resource at `url`; that of any other one is refused (RFC 9728 §3.3). */
export function parseResourceMetadata(document: JsonObject, url: URL): Result<ResourceMetadata, string> {
  const { resource, authorization_servers: issuers, scopes_supported: scopes } = document;
  if (typeof resource !== 'string' || !covers(resource, url)) {
    return err('resource is another one than was asked for');
  }
  if (!isTexts(issuers) || issuers.length === 0) return err('authorization_servers names no server');
  return ok({ resource, issuers, scopes: isTexts(scopes) ? scopes : undefined });
}

/** The URL itself, or one above it on the same origin. */
function covers(resource: string, { origin, pathname }: URL): boolean {
  const named = URL.canParse(resource) ? new URL(resource) : undefined;
  if (named === undefined || named.origin !== origin || named.search !== '' || named.hash !== '')
    return false;
  if (named.username !== '' || named.password !== '') return false;
  const path = named.pathname.replace(/\/$/, '');
  return pathname === named.pathname || pathname === path || pathname.startsWith(`${path}/`);
}

/** Where the metadata of an issuer may be, in the order of MCP's authorization chapter (RFC 8414 §3.1, §5). */
export function serverMetadataUrls(issuer: string): Result<readonly string[], string> {
  const url = URL.canParse(issuer) ? new URL(issuer) : undefined;
  if (url === undefined || url.search !== '' || url.hash !== '') return err('the issuer is not a plain URL');
  if (url.username !== '' || url.password !== '') return err('the issuer holds a user or password');
  const path = url.pathname.replace(/\/$/, '');
  const places = [`${SERVER}${path}`, `${OPENID}${path}`, `${path}${OPENID}`];
  return ok([...new Set(places)].map((place) => url.origin + place));
}

/**
 * Reads metadata of an issuer. That of another one is refused, compared character by character (RFC 8414 §3.3), and
 * so are endpoints at another origin: whoever got into the document must not get what is sent there.
 */
export function parseServerMetadata(document: JsonObject, issuer: string): Result<ServerMetadata, string> {
  if (document['issuer'] !== issuer) return err('issuer is another one than the metadata was asked of');
  const { origin } = new URL(issuer);
  const endpoints: Record<string, string | undefined> = {};
  for (const name of ['token_endpoint', 'authorization_endpoint', 'registration_endpoint']) {
    const value = document[name];
    if (value === undefined) continue;
    if (typeof value !== 'string' || !isEndpoint(value, origin)) {
      return err(`${name} is not a plain URL at the origin of the issuer`);
    }
    endpoints[name] = value;
  }
  const tokenEndpoint = endpoints['token_endpoint'];
  if (tokenEndpoint === undefined) return err('token_endpoint is missing');
  return ok({
    issuer,
    tokenEndpoint,
    authorizationEndpoint: endpoints['authorization_endpoint'],
    registrationEndpoint: endpoints['registration_endpoint'],
    isDpopKnown: includes(document['dpop_signing_alg_values_supported'], 'ES256'),
    isPkceKnown: includes(document['code_challenge_methods_supported'], 'S256'),
    isIssuerInResponse: document['authorization_response_iss_parameter_supported'] === true,
  });
}

function isEndpoint(value: string, origin: string): boolean {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  return url?.origin === origin && url.hash === '' && url.username === '' && url.password === '';
}

function includes(value: JsonValue | undefined, wanted: string): boolean {
  return isTexts(value) && value.includes(wanted);
}

function isTexts(value: JsonValue | undefined): value is string[] {
  return Array.isArray(value) && value.every((text: JsonValue) => typeof text === 'string');
}

/** The audience of an assertion, read without trusting it; undefined when it is no JWT. */
export function audienceOf(assertion: string): readonly string[] | undefined {
  const [, claims, ...rest] = assertion.split('.');
  if (claims === undefined || rest.length !== 1) return undefined;
  try {
    const body: unknown = JSON.parse(Buffer.from(claims, 'base64url').toString('utf8'));
    const audience = isJsonObject(body) ? body['aud'] : undefined;
    if (typeof audience === 'string') return [audience];
    return isTexts(audience) ? audience : [];
  } catch {
    return undefined;
  }
}
