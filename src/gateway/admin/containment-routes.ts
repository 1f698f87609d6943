import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Containment } from '../containment.ts';
import { type StopList, StopRequest, type StopResult } from './contract.ts';

/** What the admin plane may do with kill switches. */
export type ContainmentPorts = Pick<Containment, 'stop' | 'lift' | 'list'>;

/** `/v1/stops`: kill switches, seen, thrown and lifted. Each answer means that it is in force and in the log. */
export function containmentRoutes(
  app: FastifyInstance,
  containment: ContainmentPorts,
  operatorOf: (request: FastifyRequest) => string,
): void {
  const read = { config: { permission: 'stops.read' } } as const;
  app.get('/v1/stops', read, async (): Promise<StopList> => ({ stops: [...(await containment.list())] }));

  const write = { config: { permission: 'stops.write' } } as const;
  app.post('/v1/stops', write, async (request, reply) => {
    const body = StopRequest.safeParse(request.body ?? {});
    if (!body.success) return reply.code(400).send({ error: z.prettifyError(body.error) });
    const { target, reason } = body.data;
    const stopped = await containment.stop(target, operatorOf(request), reason);
    if (!stopped.ok) return reply.code(404).send({ error: stopped.error });
    return { revoked: stopped.value.map(({ id }) => id) } satisfies StopResult;
  });

  app.post('/v1/stops/lift', write, async (request, reply) => {
    const body = StopRequest.safeParse(request.body ?? {});
    if (!body.success) return reply.code(400).send({ error: z.prettifyError(body.error) });
    const { target, reason } = body.data;
    const wasThrown = await containment.lift(target, operatorOf(request), reason);
    if (!wasThrown) return reply.code(404).send({ error: 'this kill switch is not thrown' });
    return { lifted: true };
  });
}
