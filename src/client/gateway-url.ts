/** The base URL of a gateway's agent plane and what lies under it. */
export type GatewayUrl = {
  /** Without a trailing slash. */
  readonly base: string;
  readonly token: string;
  readonly revoke: string;
  /** RFC 8707 `resource` of run tokens. */
  readonly mcp: string;
  /** Is a URL the gateway's own? Same origin and, if the base has a path, below that path. */
  readonly covers: (url: URL) => boolean;
};

/** Throws a `TypeError` for what cannot be a gateway's base URL. */
export function parseGatewayUrl(value: string): GatewayUrl {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new TypeError('gateway must be an http:// or https:// URL such as http://127.0.0.1:8474');
  }
  if (url.search !== '' || url.hash !== '' || url.username !== '' || url.password !== '') {
    throw new TypeError('gateway must be a URL without query, fragment and credentials');
  }
  const path = url.pathname.replace(/\/+$/, '');
  const base = url.origin + path;
  return {
    base,
    token: `${base}/oauth/token`,
    revoke: `${base}/oauth/revoke`,
    mcp: `${base}/mcp`,
    covers: (target) => target.origin === url.origin && target.pathname.startsWith(`${path}/`),
  };
}
