import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import type { Introspection } from '../../identity/index.ts';
import { parseForm } from './form-body.ts';

const BODY_LIMIT = 64 * 1024;
const STATUS = { invalid_client: 401, invalid_request: 400, temporarily_unavailable: 503 } as const;

/** `POST /oauth/introspect` (RFC 7662): for upstreams, not for agents. Registers its own scope. */
export function introspectionRoute(
  app: FastifyInstance,
  { introspect, log }: { readonly introspect: Introspection; readonly log: Logger },
): void {
  app.register((scope, _options, done) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser(
      'application/x-www-form-urlencoded',
      { parseAs: 'string', bodyLimit: BODY_LIMIT },
      (_request, body, parsed) => parsed(null, body),
    );
    scope.post('/oauth/introspect', { bodyLimit: BODY_LIMIT }, async (request, reply) => {
      reply.header('cache-control', 'no-store');
      const form = parseForm(typeof request.body === 'string' ? request.body : '');
      if (!form.ok) return reply.code(400).send({ error: 'invalid_request', error_description: form.error });
      const answer = await introspect(form.value);
      if (answer.ok) return reply.send(answer.value);
      const { error, description, cause } = answer.error;
      if (cause !== undefined) log.error({ err: cause }, 'introspection failed');
      return reply.code(STATUS[error]).send({ error, error_description: description });
    });
    done();
  });
}
