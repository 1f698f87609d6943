import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Result } from '../../base/index.ts';
import type { KeyChange, KeyRefusal } from '../../identity/index.ts';
import type { KeyCare } from '../key-care.ts';
import { type KeyChanges, type KeyList, type LogKeyChanged, LogKeyRequest } from './key-contract.ts';

/** Lets a new key sign the intent log; `overlapSeconds`: so long the old one does, too. */
export type RotateLogKey = (by: string, reason: string, overlapSeconds: number) => Promise<LogKeyChanged>;

/** The signing keys on the admin plane. `operatorOf`: who asks, already authenticated. */
export function keyRoutes(
  app: FastifyInstance,
  { keys: care, rotateLogKey }: { readonly keys: KeyCare; readonly rotateLogKey: RotateLogKey },
  operatorOf: (request: FastifyRequest) => string,
): void {
  app.get(
    '/v1/keys',
    { config: { permission: 'keys.read' } },
    (): KeyList => ({ keys: care.list().map((key) => ({ ...key })) }),
  );

  const write = { config: { permission: 'keys.write' } } as const;
  app.post('/v1/keys/rotate', write, async (request, reply) =>
    answer(await care.rotate(operatorOf(request)), reply),
  );

  app.post<{ Params: { kid: string } }>('/v1/keys/:kid/remove', write, async (request, reply) =>
    answer(await care.remove(request.params.kid, operatorOf(request)), reply),
  );

  app.post('/v1/log/rotate-key', write, async (request, reply): Promise<LogKeyChanged> => {
    const body = LogKeyRequest.safeParse(request.body ?? {});
    if (!body.success) return reply.code(400).send({ error: z.prettifyError(body.error) });
    const { reason, overlapHours } = body.data;
    return rotateLogKey(operatorOf(request), reason, Math.round(overlapHours * 3600));
  });
}

function answer(
  changed: Result<readonly KeyChange[], KeyRefusal>,
  reply: FastifyReply,
): KeyChanges | FastifyReply {
  if (changed.ok) return { changes: changed.value.map((change) => ({ ...change })) };
  const { status, message } = toWire(changed.error);
  return reply.code(status).send({ error: message });
}

function toWire(refusal: KeyRefusal): { status: number; message: string } {
  switch (refusal.reason) {
    case 'too_soon':
      return {
        status: 409,
        message: `the next key is not known to every verifier yet; wait ${refusal.waitSeconds} s, or remove the active key if it is in foreign hands`,
      };
    case 'unknown_key':
      return { status: 404, message: 'no key has this id; "sallyport keys list" prints them' };
  }
}
