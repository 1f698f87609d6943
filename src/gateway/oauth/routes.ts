import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { parseUpstreamName } from '../../base/index.ts';
import {
  type AuthorityDeps,
  type Form,
  GRANT_TYPES,
  gatewayResource,
  handleRevocation,
  handleTokenRequest,
  refuseToken,
  type ShownKey,
  slowDown,
  type TokenRefusal,
  tokenRefusalToWire,
  unavailable,
  upstreamResource,
} from '../../identity/index.ts';
import { parseForm } from './form-body.ts';
import {
  authorizationServerMetadata,
  openidConfiguration,
  protectedResourceMetadata,
  spiffeBundle,
} from './metadata.ts';
import { createRateLimit, type RateLimit, sourceOf } from './rate-limit.ts';
import { createRefusalRecorder, type RecordRefusal } from './refusals.ts';

export type OAuthRoutesDeps = {
  readonly authority: AuthorityDeps;
  readonly log: Logger;
  /** Writes a refused request into the intent log. */
  readonly recordRefusal: RecordRefusal;
  /** Requests of one source in a minute, to each endpoint. */
  readonly perSourceAndMinute: number;
  /** The client certificate of the connection, where the listener asks for one. */
  readonly certificateOf?: (request: FastifyRequest) => ShownKey['certificate'];
};

const BODY_LIMIT = 64 * 1024;
const PUBLIC = 'public, max-age=300';

/** The authorization server over HTTP, and the metadata of the resources it serves. Registers its own scope. */
export function oauthRoutes(app: FastifyInstance, deps: OAuthRoutesDeps): void {
  app.register((scope, _options, done) => {
    discoveryRoutes(scope, deps.authority);
    endpointRoutes(scope, deps);
    done();
  });
}

/** What anyone may read. Paths are those of the issuer, whose own path goes behind the well-known part. */
function discoveryRoutes(app: FastifyInstance, authority: AuthorityDeps): void {
  const { urls, keys } = authority;
  const prefix = new URL(urls.issuer).pathname.replace(/\/$/, '');
  const publish = (path: string, document: () => object) => {
    app.get(path, async (_request, reply) => reply.header('cache-control', PUBLIC).send(document()));
  };
  publish('/.well-known/jwks.json', () => keys.jwks());
  publish('/.well-known/spiffe/bundle.json', () => spiffeBundle(keys));
  for (const path of new Set(['', prefix])) {
    publish(`/.well-known/oauth-authorization-server${path}`, () => authorizationServerMetadata(authority));
    publish(`/.well-known/openid-configuration${path}`, () => openidConfiguration(authority));
    const resource = `/.well-known/oauth-protected-resource${path}`;
    publish(`${resource}/mcp`, () => protectedResourceMetadata(gatewayResource(urls.issuer), urls));
    app.get<{ Params: { upstream: string } }>(`${resource}/mcp/:upstream`, async (request, reply) => {
      const name = parseUpstreamName(request.params.upstream);
      const found = name === undefined ? undefined : upstreamResource(urls.issuer, name);
      if (found === undefined || !urls.resources.includes(found)) {
        return reply.code(404).send({ error: 'not_found', error_description: 'no upstream has this name' });
      }
      return reply.header('cache-control', PUBLIC).send(protectedResourceMetadata(found, urls));
    });
  }
}

function endpointRoutes(app: FastifyInstance, deps: OAuthRoutesDeps): void {
  acceptFormsOnly(app);
  app.get('/oauth/authorize', async (_request, reply) =>
    answerRefusal(reply, {
      error: 'invalid_request',
      description:
        'agents attest at the token endpoint with grant type jwt-bearer; there is no interactive login',
    }),
  );
  app.post('/oauth/token', { bodyLimit: BODY_LIMIT }, answerWith('token', handleTokenRequest, deps));
  app.post('/oauth/revoke', { bodyLimit: BODY_LIMIT }, answerWith('revoke', handleRevocation, deps));
}

type Endpoint = typeof handleTokenRequest | typeof handleRevocation;

/** Counts, reads, asks the endpoint and answers. INVARIANT: a refusal is in the log before it is answered. */
function answerWith(
  endpoint: 'token' | 'revoke',
  handle: Endpoint,
  deps: OAuthRoutesDeps,
): (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply> {
  const { authority, perSourceAndMinute: perMinute } = deps;
  const limit = createRateLimit({ perMinute, now: authority.now });
  const record = createRefusalRecorder(deps.recordRefusal, authority.now);
  return async (request, reply) => {
    const source = sourceOf(request.raw.socket.remoteAddress);
    const form = parseForm(textOf(request));
    const answer = await answerTo(request, source, form, limit, handle, deps);
    if (answer.ok)
      return endpoint === 'token' ? noStore(reply).send(answer.value) : noStore(reply).code(200).send();
    logRefusal(deps.log, `${endpoint} request refused`, answer.error);
    const grant = form.ok ? knownGrant(form.value) : undefined;
    try {
      await record(answer.error, { endpoint, source, ...(grant === undefined ? {} : { grant }) });
    } catch (cause) {
      deps.log.error({ err: cause }, 'refusal could not be recorded');
      const failure = unavailable(cause);
      return failure.ok ? reply : answerRefusal(reply, failure.error);
    }
    return answerRefusal(reply, answer.error);
  };
}

async function answerTo(
  request: FastifyRequest,
  source: string,
  form: ReturnType<typeof parseForm>,
  limit: RateLimit,
  handle: Endpoint,
  { authority, certificateOf }: OAuthRoutesDeps,
): Promise<Awaited<ReturnType<Endpoint>>> {
  const wait = limit(source);
  if (wait !== undefined) return slowDown(wait);
  if (!form.ok) return refuseToken('invalid_request', form.error);
  const certificate = certificateOf?.(request);
  const dpop = request.headers['dpop']; // node:http joins several with commas, which no proof has
  return handle(form.value, { dpop, ...(certificate === undefined ? {} : { certificate }) }, authority);
}

/** Only what exists gets into the log: the rest could be anything, a token too. */
function knownGrant(form: Form): string | undefined {
  const grant = form.get('grant_type');
  return Object.values<string | undefined>(GRANT_TYPES).includes(grant) ? grant : undefined;
}

/** In this scope a body is a form or it is refused, in the words of RFC 6749. */
function acceptFormsOnly(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string', bodyLimit: BODY_LIMIT },
    (_request, body, done) => done(null, body),
  );
  app.setErrorHandler((error: { readonly statusCode?: number }, _request, reply) => {
    const { statusCode = 500 } = error;
    if (statusCode >= 500) throw error;
    const description =
      statusCode === 413
        ? `the form is larger than ${BODY_LIMIT} bytes`
        : 'the body must be a form: content-type application/x-www-form-urlencoded';
    return answerRefusal(reply, { error: 'invalid_request', description }, statusCode === 413 ? 413 : 400);
  });
}

function textOf(request: FastifyRequest): string {
  return typeof request.body === 'string' ? request.body : '';
}

function answerRefusal(reply: FastifyReply, refusal: TokenRefusal, status?: number): FastifyReply {
  const wire = tokenRefusalToWire(refusal);
  return noStore(reply)
    .code(status ?? wire.status)
    .headers({ ...wire.headers })
    .send(wire.body);
}

/** RFC 6749 §5.1. */
function noStore(reply: FastifyReply): FastifyReply {
  return reply.header('cache-control', 'no-store').header('pragma', 'no-cache');
}

function logRefusal(log: Logger, message: string, { error, description, cause }: TokenRefusal): void {
  if (cause === undefined) log.info({ error, description }, message);
  else log.error({ error, err: cause }, message);
}
