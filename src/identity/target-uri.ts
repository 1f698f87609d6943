// The characters of RFC 3986 and nothing else; a browser's URL parser would repair what must be refused here.
const HTTP_URI =
  /^(https?):\/\/([A-Za-z0-9.\-_~%!$&'()*+,;=]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{0,5}))?(\/[^?#]*)?(?:\?[^#]*)?(?:#.*)?$/i;
const PATH = /^(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})*$/;
const DEFAULT_PORT = { http: '80', https: '443' };
const MAX_LENGTH = 2048;

/**
 * The form in which two `htu` values are compared (RFC 9449 §4.3 item 9): RFC 3986 §6.2.2 and §6.2.3, without
 * query and fragment. Undefined for what is not an http(s) URI, and for one with user information.
 *
 * Percent-encoded delimiters stay as they are: `/a%2Fb` is not `/a/b`.
 */
export function normalizeTargetUri(uri: string): string | undefined {
  if (uri.length > MAX_LENGTH) return undefined;
  const parts = HTTP_URI.exec(uri);
  if (parts === null) return undefined;
  const scheme = (parts[1] ?? '').toLowerCase() as 'http' | 'https';
  const host = (parts[2] ?? '').toLowerCase();
  const port = parts[3] ?? '';
  const path = parts[4] ?? '/';
  if (host.includes('%') || !PATH.test(path)) return undefined;
  const authority = port === '' || port === DEFAULT_PORT[scheme] ? host : `${host}:${port}`;
  return `${scheme}://${authority}${removeDotSegments(normalizeEscapes(path))}`;
}

/** RFC 3986 §6.2.2.1 and §6.2.2.2: upper-case escapes, and none where the character needs none. */
function normalizeEscapes(path: string): string {
  if (!path.includes('%')) return path;
  return path.replace(/%[0-9A-Fa-f]{2}/g, (encoded) => {
    const character = String.fromCharCode(Number.parseInt(encoded.slice(1), 16));
    return /[A-Za-z0-9\-._~]/.test(character) ? character : encoded.toUpperCase();
  });
}

/** RFC 3986 §5.2.4 for a path that begins with a slash. */
function removeDotSegments(path: string): string {
  if (!path.includes('/.')) return path;
  const kept: string[] = [];
  const segments = path.split('/').slice(1);
  for (const [index, segment] of segments.entries()) {
    const isDots = segment === '.' || segment === '..';
    if (segment === '..') kept.pop();
    if (!isDots) kept.push(segment);
    else if (index === segments.length - 1) kept.push(''); // a trailing dot segment leaves its slash
  }
  return `/${kept.join('/')}`;
}
