import type { FastifyInstance, FastifyReply } from 'fastify';
import { SallyportError } from '../../base/index.ts';
import { type PublishedLog, parseTilePath } from '../../intent-log/index.ts';

const LATER_SECONDS = '1';

/** `/v1/log/`: the signed log as C2SP tlog-tiles lays it out, and the changes of its key, for mirrors and monitors. */
export function logRoutes(app: FastifyInstance, log: PublishedLog): void {
  const read = { config: { permission: 'log.read' } } as const;

  app.get('/v1/log/checkpoint', read, async (_request, reply) => {
    const note = await orLater(() => log.checkpoint(), reply);
    if (note === undefined) return reply;
    return reply.type('text/plain; charset=utf-8').header('cache-control', 'no-store').send(note);
  });

  app.get('/v1/log/key-changes', read, async (_request, reply) => {
    const notes = await orLater(() => log.keyChanges(), reply);
    return notes === undefined ? reply : reply.header('cache-control', 'no-store').send(notes);
  });

  app.get<{ Params: { '*': string } }>('/v1/log/tile/*', read, async (request, reply) => {
    const asked = parseTilePath(`tile/${request.params['*']}`);
    if (asked === undefined)
      return reply.code(400).send({ error: 'not the path of a tile (C2SP tlog-tiles)' });
    const { level, n, width } = asked;
    const tile = await orLater(async () => (await log.tile(level, n, width)) ?? 'none', reply);
    if (tile === undefined) return reply;
    if (tile === 'none') return reply.code(404).send({ error: 'the log is not signed for so far' });
    return reply.type('application/octet-stream').send(Buffer.from(tile));
  });
}

/** What cannot be read at this moment is asked for again, by the client. */
async function orLater<T>(ask: () => Promise<T | undefined>, reply: FastifyReply): Promise<T | undefined> {
  const later = (why: string): undefined => {
    reply.code(503).header('retry-after', LATER_SECONDS).send({ error: why });
  };
  try {
    return (await ask()) ?? later('no checkpoint can be given out at this moment');
  } catch (error) {
    if (error instanceof SallyportError && error.code === 'ERR_LOG_UNAVAILABLE') return later(error.message);
    throw error;
  }
}
