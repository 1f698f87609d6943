import { type LookupAddress, lookup as systemLookup } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { Agent, fetch as undiciFetch } from 'undici';
import type { Fetch } from './fetch-bounded.ts';
import { isLoopbackHost, isReachable, type Reach } from './public-address.ts';

export type SafeFetchOptions = {
  /** The host the operator wrote is loopback, or private addresses were allowed by configuration. */
  readonly reach: Reach;
  /** PEM certificates to trust instead of the system's, for an issuer with a CA of its own. */
  readonly ca?: string;
  /** For tests: what names resolve to. */
  readonly lookup?: LookupFunction;
};

const CONNECT_MILLISECONDS = 3000;

/**
 * A `fetch` for documents of issuers. It connects only to addresses that `reach` allows, and to the very address
 * that was checked: a name that resolves to another one a moment later (DNS rebinding) gains nothing.
 */
export function createSafeFetch(options: SafeFetchOptions): Fetch {
  const dispatcher = createDispatcher(options);
  return async (url, init) => {
    const problem = urlProblem(url, options.reach);
    if (problem !== undefined) throw new Error(problem);
    return undiciFetch(url, { ...init, dispatcher });
  };
}

/** The same for requests of any kind: a client's, to servers that others named. */
export function createReachableFetch(options: SafeFetchOptions): typeof globalThis.fetch {
  const dispatcher = createDispatcher(options);
  return async (input, init) => {
    const url = input instanceof Request ? input.url : String(input);
    const problem = urlProblem(url, options.reach);
    if (problem !== undefined) throw new TypeError(`the address ${problem}`);
    const request = { ...init, dispatcher } as Parameters<typeof undiciFetch>[1];
    return (await undiciFetch(url, request)) as unknown as Response; // one standard, two declarations
  };
}

function createDispatcher({ reach, ca, lookup = systemLookup }: SafeFetchOptions): Agent {
  return new Agent({
    connect: {
      lookup: checkedLookup(lookup, reach),
      timeout: CONNECT_MILLISECONDS,
      ...(ca === undefined ? {} : { ca }),
    },
    connections: 2,
    keepAliveTimeout: 1000,
  });
}

/** Why a URL may not be fetched; undefined when it may. https, or http on loopback. */
export function urlProblem(text: string, reach: Reach): string | undefined {
  if (!URL.canParse(text)) return 'is not a URL';
  const url = new URL(text);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (url.username !== '' || url.password !== '') return 'must not hold a user or password';
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopbackHost(url.hostname))) {
    return 'must be https, or http on loopback';
  }
  const isAllowed = isIP(host) === 0 ? host !== 'localhost' || reach !== 'public' : isReachable(host, reach);
  return isAllowed ? undefined : 'leads to an address that is not public';
}

/** The reach that the URL in the configuration asks for by itself. */
export function reachOf(url: string, privateNetwork: boolean): Reach {
  if (privateNetwork) return 'private';
  return URL.canParse(url) && isLoopbackHost(new URL(url).hostname) ? 'loopback' : 'public';
}

function checkedLookup(lookup: LookupFunction, reach: Reach): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, found) => {
      if (error !== null) return callback(error, '', 0);
      const addresses = (Array.isArray(found) ? found : []) as LookupAddress[];
      const [first] = addresses;
      if (first === undefined || !addresses.every(({ address }) => isReachable(address, reach))) {
        return callback(new Error(`${hostname} has an address that is not public`), '', 0);
      }
      if (options.all === true) return callback(null, addresses);
      return callback(null, first.address, first.family);
    });
  };
}
