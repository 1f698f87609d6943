import { parseUpstreamName, type UpstreamName } from '../../base/index.ts';
import { ALL_UPSTREAMS } from '../call/index.ts';
import type { RpcId } from '../upstream/index.ts';

/** Stands for "all upstreams" where a record names an upstream: no upstream can be called that. */
export const AGGREGATE = ALL_UPSTREAMS;

/** What a prefixed name, URI or id stands for at which upstream. */
export type Inner<T> = { readonly upstream: UpstreamName; readonly inner: T };

const NAME_SEPARATOR = '__';
const URI_SEPARATOR = '+';

/** Tools and prompts: `<upstream>__<name>`. An upstream's name has no underscore, so the first `__` is ours. */
export function prefixName(upstream: string, name: string): string {
  return `${upstream}${NAME_SEPARATOR}${name}`;
}

export function splitName(name: unknown): Inner<string> | undefined {
  return split(name, NAME_SEPARATOR);
}

/** Resources and tasks: `<upstream>+<uri>`. An upstream's name has no plus sign, so the first one is ours. */
export function prefixUri(upstream: string, uri: string): string {
  return `${upstream}${URI_SEPARATOR}${uri}`;
}

export function splitUri(uri: unknown): Inner<string> | undefined {
  return split(uri, URI_SEPARATOR);
}

/** Requests of servers: their ids are unique at one server only, and 1 is not "1". */
export function prefixId(upstream: string, id: RpcId): string {
  return `${upstream}${URI_SEPARATOR}${JSON.stringify(id)}`;
}

export function splitId(id: RpcId): Inner<RpcId> | undefined {
  const parts = split(id, URI_SEPARATOR);
  if (parts === undefined) return undefined;
  try {
    const inner: unknown = JSON.parse(parts.inner);
    const isId = typeof inner === 'string' || typeof inner === 'number';
    return isId && prefixId(parts.upstream, inner) === id ? { upstream: parts.upstream, inner } : undefined;
  } catch {
    return undefined;
  }
}

function split(text: unknown, separator: string): Inner<string> | undefined {
  if (typeof text !== 'string') return undefined;
  const at = text.indexOf(separator);
  const upstream = at === -1 ? undefined : parseUpstreamName(text.slice(0, at));
  const inner = text.slice(at + separator.length);
  return upstream === undefined || inner === '' ? undefined : { upstream, inner };
}
