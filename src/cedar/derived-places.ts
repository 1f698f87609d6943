const HOST_TEXT = /^(?:[\p{L}\p{N}_-]+\.)+[\p{L}\p{N}-]{2,}\.?(?::\d+)?(?:[/?#]|$)/u;
const SCHEME = /^[a-z][a-z0-9+.-]*:/i;
/** What stands for a host that nobody can read; it is in no domain. */
export const UNREADABLE_HOST = '(unreadable)';

/** A URL, or a mail address with a host (RFC 1035 §2.3.4: 255 octets), that is longer is none. */
const MAX_PLACE = 4_096;
const MAX_HOST = 255;

/** The host that a text names as URL, mail address or host name, as a browser would read it. */
export function hostOf(text: string): string | undefined {
  const value = text.trim();
  if (value.length > MAX_PLACE) return UNREADABLE_HOST;
  if (SCHEME.test(value) && !HOST_TEXT.test(value)) return hostOfUrl(value);
  if (/^[/\\]{2}/.test(value)) return hostOfUrl(`https:${value}`);
  const at = value.lastIndexOf('@');
  if (at >= 0) return hostOfUrl(`https://${value.slice(at + 1).replace(/>.*$/s, '')}`);
  return HOST_TEXT.test(value) ? hostOfUrl(`https://${value}`) : undefined;
}

function hostOfUrl(text: string): string | undefined {
  if (!URL.canParse(text)) return UNREADABLE_HOST;
  const { protocol, hostname, pathname } = new URL(text);
  if (protocol === 'mailto:') return hostOf(pathname);
  if (hostname.length > MAX_HOST) return UNREADABLE_HOST;
  return hostname === '' ? undefined : hostname.replace(/\.$/, '').toLowerCase();
}

/** A host and the domains it is in, itself included; an address has no domains. */
export function domainsOf(host: string): readonly string[] {
  if (host === UNREADABLE_HOST) return [];
  if (host.startsWith('[') || /^[\d.]+$/.test(host)) return [host];
  const labels = host.split('.');
  return labels.map((_, from) => labels.slice(from).join('.'));
}

/** A path without detours; undefined when where it leads cannot be told from its text. */
export function normalPath(text: string): string | undefined {
  const path = text.replace(/^file:\/\/(?:localhost)?(?=\/)/i, '').replaceAll('\\', '/');
  const isHidden = /^~|\$|%[0-9a-f]{2}|^[a-z][a-z0-9+.-]+:\/\/|\p{Cc}/iu.test(path);
  if (isHidden) return undefined;
  const kept: string[] = [];
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') kept.push(part);
    else if (kept.pop() === undefined) return undefined;
  }
  return `${path.startsWith('/') ? '/' : ''}${kept.join('/')}`;
}

/** A path and the folders it is in, itself included. */
export function foldersOf(path: string): readonly string[] {
  const folders = path.startsWith('/') ? ['/'] : [];
  for (let at = path.indexOf('/', 1); at > 0; at = path.indexOf('/', at + 1)) folders.push(path.slice(0, at));
  return path === '/' || path === '' ? folders : [...folders, path];
}

/** What is in all of some lists. */
export function inAll(lists: readonly (readonly string[])[]): readonly string[] {
  const [first = [], ...rest] = lists;
  return rest.reduce<readonly string[]>((common, list) => {
    const here = new Set(list);
    return common.filter((item) => here.has(item));
  }, first);
}
