import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { AgentAdmin, ByWhom } from '../agents.ts';
import { AgentChangeRequest, type AgentList } from './agents-contract.ts';

const RegisterRequest = z.strictObject({ reason: AgentChangeRequest.shape.reason, entry: z.unknown() });

/** The registry of agents over HTTP. `byOf`: the operator behind a request. */
export function agentRoutes(
  app: FastifyInstance,
  agents: AgentAdmin,
  byOf: (request: FastifyRequest) => string,
): void {
  app.get('/v1/agents', { config: { permission: 'agents.read' } }, (): Promise<AgentList> => agents.list());

  for (const change of ['disable', 'enable', 'remove'] as const) {
    app.post<{ Params: { agent: string } }>(
      `/v1/agents/:agent/${change}`,
      { config: { permission: 'agents.write' } },
      async (request, reply) => {
        const body = AgentChangeRequest.safeParse(request.body ?? {});
        if (!body.success) return reply.code(400).send({ error: z.prettifyError(body.error) });
        const who: ByWhom = { by: byOf(request), reason: body.data.reason };
        return answer(await agents[change](request.params.agent, who), reply);
      },
    );
  }

  app.post('/v1/agents', { config: { permission: 'agents.write' } }, async (request, reply) => {
    const body = RegisterRequest.safeParse(request.body ?? {});
    if (!body.success) return reply.code(400).send({ error: z.prettifyError(body.error) });
    return answer(
      await agents.register(body.data.entry, { by: byOf(request), reason: body.data.reason }),
      reply,
    );
  });
}

function answer(result: Awaited<ReturnType<AgentAdmin['enable']>>, reply: FastifyReply): FastifyReply {
  return result.ok
    ? reply.send(result.value)
    : reply.code(result.error.status).send({ error: result.error.message });
}
