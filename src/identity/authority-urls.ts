import { SallyportError, type UpstreamName } from '../base/index.ts';

/** Where the authorization server and the resources are, all derived from the configured public URL. */
export type AuthorityUrls = {
  /** RFC 8414 issuer identifier: the public URL itself. */
  readonly issuer: string;
  readonly authorizationEndpoint: string;
  readonly tokenEndpoint: string;
  readonly revocationEndpoint: string;
  /** For upstreams only (RFC 7662). */
  readonly introspectionEndpoint: string;
  readonly jwksUri: string;
  /** Every resource (RFC 8707) a token can be for: the gateway as a whole first, then each upstream. */
  readonly resources: readonly string[];
};

/** Throws `ERR_CONFIG_INVALID` for a public URL that is not in its normal form. */
export function authorityUrls(publicUrl: string, upstreams: readonly UpstreamName[]): AuthorityUrls {
  requireNormalForm(publicUrl);
  return {
    issuer: publicUrl,
    authorizationEndpoint: `${publicUrl}/oauth/authorize`,
    tokenEndpoint: `${publicUrl}/oauth/token`,
    revocationEndpoint: `${publicUrl}/oauth/revoke`,
    introspectionEndpoint: `${publicUrl}/oauth/introspect`,
    jwksUri: `${publicUrl}/.well-known/jwks.json`,
    resources: [gatewayResource(publicUrl), ...upstreams.map((name) => upstreamResource(publicUrl, name))],
  };
}

/** The resource that stands for all upstreams: a token for it is good at every `/mcp/<upstream>`. */
export function gatewayResource(publicUrl: string): string {
  return `${publicUrl}/mcp`;
}

/** One upstream as a resource: a token for it is good there and nowhere else. Also its canonical URL. */
export function upstreamResource(publicUrl: string, upstream: UpstreamName): string {
  return `${publicUrl}/mcp/${upstream}`;
}

/** Which audiences the endpoint of an upstream accepts. */
export function acceptedAudiences(publicUrl: string, upstream: UpstreamName): readonly string[] {
  return [gatewayResource(publicUrl), upstreamResource(publicUrl, upstream)];
}

/** RFC 9728 §3.1: the well-known part goes between host and path of the resource. */
export function resourceMetadataUrl(resource: string): string {
  const { origin, pathname } = new URL(resource);
  return `${origin}/.well-known/oauth-protected-resource${pathname}`;
}

function requireNormalForm(publicUrl: string): void {
  const url = URL.canParse(publicUrl) ? new URL(publicUrl) : undefined;
  const isWeb = url?.protocol === 'http:' || url?.protocol === 'https:';
  const normal = isWeb ? `${url.origin}${url.pathname.replace(/\/+$/, '')}` : undefined;
  if (normal === publicUrl) return;
  const example = normal ?? 'https://gateway.example.org';
  throw new SallyportError(
    'ERR_CONFIG_INVALID',
    `publicUrl: "${publicUrl}" must be a plain http(s) URL without query and trailing slash, such as "${example}"`,
  );
}
