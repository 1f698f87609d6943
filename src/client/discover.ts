import { type JsonObject, type Result, SallyportError } from '../base/index.ts';
import { parseObject, readText } from './bounded-answer.ts';
import { challengeParam } from './challenge.ts';
import {
  parseResourceMetadata,
  parseServerMetadata,
  type ResourceMetadata,
  resourceMetadataUrls,
  type ServerMetadata,
  serverMetadataUrls,
} from './server-metadata.ts';
import type { ClientDeps } from './token-endpoint.ts';

/** A resource and the authorization server that gives tokens for it. */
export type Discovered = {
  readonly server: ServerMetadata;
  /** RFC 8707 `resource` of tokens. */
  readonly resource: string;
  /** What the resource wants, space-separated; undefined when it does not say. */
  readonly scope: string | undefined;
};

export type DiscoverySubject = {
  /** The resource. */
  readonly url: URL;
  /** Its 401. */
  readonly refused: Response;
  /** The only authorization server that will do. Without it, the first that the resource names. */
  readonly issuer: string | undefined;
};

export type DiscoveryDeps = {
  /** For the origin of the resource, which the caller chose. */
  readonly toEndpoint: Pick<ClientDeps, 'fetch'>;
  /** For what the resource names: must not reach what a stranger may not choose. */
  readonly toServer: Pick<ClientDeps, 'fetch'>;
};

const TIMEOUT_MILLISECONDS = 10_000;

/**
 * Finds the authorization server of a resource: challenge, metadata of the resource (RFC 9728), metadata of the
 * server (RFC 8414, OpenID Connect Discovery). No redirect is followed.
 *
 * Throws `ERR_REQUEST_REFUSED` when they cannot be had or contradict each other.
 */
export async function discoverServer(
  { url, refused, issuer }: DiscoverySubject,
  { toEndpoint, toServer }: DiscoveryDeps,
): Promise<Discovered> {
  const places = required(
    resourceMetadataUrls(url, challengeParam(refused, 'resource_metadata')),
    `the challenge of ${url.origin}`,
  );
  const found = await firstDocument(places, toEndpoint);
  const metadata = required(parseResourceMetadata(found.document, url), found.place);
  const chosen = chooseIssuer(metadata, issuer, found.place);
  const server = await readServer(chosen, toServer);
  const scope = challengeParam(refused, 'scope') ?? metadata.scopes?.join(' ');
  return { server, resource: metadata.resource, scope: scope === '' ? undefined : scope };
}

function chooseIssuer(metadata: ResourceMetadata, wanted: string | undefined, place: string): string {
  const [first] = metadata.issuers;
  const chosen = wanted === undefined ? first : metadata.issuers.find((issuer) => issuer === wanted);
  if (chosen !== undefined) return chosen;
  throw refusal(place, `authorization_servers does not name ${wanted ?? 'any'}`);
}

async function readServer(issuer: string, deps: Pick<ClientDeps, 'fetch'>): Promise<ServerMetadata> {
  const places = required(serverMetadataUrls(issuer), 'authorization_servers');
  const { document, place } = await firstDocument(places, deps);
  return required(parseServerMetadata(document, issuer), place);
}

/** The first of the places that has a document. One that is there and wrong is not passed over for the next. */
async function firstDocument(
  places: readonly string[],
  { fetch }: Pick<ClientDeps, 'fetch'>,
): Promise<{ readonly document: JsonObject; readonly place: string }> {
  for (const place of places) {
    const answer = await get(place, fetch);
    if (answer === undefined) continue;
    const document = parseObject(answer);
    if (document === undefined) throw refusal(place, 'the document is not a JSON object');
    return { document, place };
  }
  throw refusal(places.join(', '), 'there is no metadata; without it nobody knows where to get a token');
}

/** Undefined when there is nothing at this place. */
async function get(place: string, fetch: ClientDeps['fetch']): Promise<string | undefined> {
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MILLISECONDS);
    const headers = { accept: 'application/json' };
    const response = await fetch(place, { headers, redirect: 'error', signal });
    if (response.status === 200) return await readText(response);
    await response.body?.cancel();
  } catch (cause) {
    throw new SallyportError('ERR_REQUEST_REFUSED', `${place} cannot be read`, { cause });
  }
  return undefined;
}

function required<T>(result: Result<T, string>, where: string): T {
  if (result.ok) return result.value;
  throw refusal(where, result.error);
}

function refusal(where: string, why: string): SallyportError {
  return new SallyportError('ERR_REQUEST_REFUSED', `${where}: ${why}`);
}
