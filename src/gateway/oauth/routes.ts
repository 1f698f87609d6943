import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { parseUpstreamName, type Result } from '../../base/index.ts';
import {
  type AuthorityDeps,
  gatewayResource,
  handleRevocation,
  handleTokenRequest,
  type TokenRefusal,
  tokenRefusalToWire,
  upstreamResource,
} from '../../identity/index.ts';
import { parseForm } from './form-body.ts';
import {
  authorizationServerMetadata,
  openidConfiguration,
  protectedResourceMetadata,
  spiffeBundle,
} from './metadata.ts';

export type OAuthRoutesDeps = { readonly authority: AuthorityDeps; readonly log: Logger };

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
function discoveryRoutes(app: FastifyInstance, { urls, keys }: AuthorityDeps): void {
  const prefix = new URL(urls.issuer).pathname.replace(/\/$/, '');
  const publish = (path: string, document: () => object) => {
    app.get(path, async (_request, reply) => reply.header('cache-control', PUBLIC).send(document()));
  };
  publish('/.well-known/jwks.json', () => keys.jwks());
  publish('/.well-known/spiffe/bundle.json', () => spiffeBundle(keys));
  for (const path of new Set(['', prefix])) {
    publish(`/.well-known/oauth-authorization-server${path}`, () => authorizationServerMetadata(urls));
    publish(`/.well-known/openid-configuration${path}`, () => openidConfiguration(urls));
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

function endpointRoutes(app: FastifyInstance, { authority, log }: OAuthRoutesDeps): void {
  acceptFormsOnly(app);

  app.get('/oauth/authorize', async (_request, reply) =>
    answerRefusal(reply, {
      error: 'invalid_request',
      description:
        'agents attest at the token endpoint with grant type jwt-bearer; there is no interactive login',
    }),
  );

  app.post('/oauth/token', { bodyLimit: BODY_LIMIT }, async (request, reply) => {
    const form = parseForm(textOf(request));
    if (!form.ok) return answerRefusal(reply, { error: 'invalid_request', description: form.error });
    const answer = await handleTokenRequest(form.value, request.headers['dpop'], authority);
    if (answer.ok) return noStore(reply).send(answer.value);
    logRefusal(log, 'token request refused', answer);
    return answerRefusal(reply, answer.error);
  });

  app.post('/oauth/revoke', { bodyLimit: BODY_LIMIT }, async (request, reply) => {
    const form = parseForm(textOf(request));
    if (!form.ok) return answerRefusal(reply, { error: 'invalid_request', description: form.error });
    const answer = await handleRevocation(form.value, request.headers['dpop'], authority);
    if (answer.ok) return noStore(reply).code(200).send();
    logRefusal(log, 'revocation refused', answer);
    return answerRefusal(reply, answer.error);
  });
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

function logRefusal(
  log: Logger,
  message: string,
  { error }: Extract<Result<never, TokenRefusal>, { ok: false }>,
): void {
  const { error: code, description, cause } = error;
  if (cause === undefined) log.info({ error: code, description }, message);
  else log.error({ error: code, err: cause }, message);
}
