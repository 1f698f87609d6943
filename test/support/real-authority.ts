import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import Fastify, { type FastifyInstance } from 'fastify';
import { pino } from 'pino';
import { type Clock, createIdSource, systemClock } from '../../src/base/index.ts';
import { type Authority, createAuthority, issueJoinToken } from '../../src/gateway/authority.ts';
import { parseConfig } from '../../src/gateway/config.ts';
import { oauthRoutes } from '../../src/gateway/oauth/index.ts';
import { authenticate, authFailureToChallenge, openSigningKeys, type Run } from '../../src/identity/index.ts';
import { createEmbeddedRuns, createEmbeddedSingleUse } from '../../src/storage/index.ts';

export type RealAuthority = AsyncDisposable & {
  readonly url: string;
  readonly joinToken: (agent: string) => string;
  /** In the order they were opened and ended. */
  readonly opened: readonly Run[];
  readonly ended: readonly string[];
  /** Takes the signing key away, as `sallyport keys remove` does. */
  readonly removeActiveKey: () => Promise<void>;
};

/**
 * The gateway's own authorization server and token check over HTTP. Behind `/mcp/<upstream>` is nothing: the
 * answer names the runs that were recognised. `folder` holds the keys.
 */
export async function startRealAuthority(
  folder: string,
  config: object,
  now: Clock = systemClock,
): Promise<RealAuthority> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const opened: Run[] = [];
  const ended: string[] = [];
  const keys = await openSigningKeys({ folder, now });
  const authority = createAuthority(parseConfig(config, 'test'), url, {
    keys,
    runs: createEmbeddedRuns({ now, runs: [], proofs: [], keyWasUsed: async () => false }).runs,
    singleUse: createEmbeddedSingleUse({ now }),
    journal: {
      opened: async (run) => void opened.push(run),
      renewed: async () => undefined,
      closed: async (runs) => void ended.push(...runs.map(({ id }) => id)),
    },
    ids: createIdSource(now),
    now,
    production: false,
  });
  const app = await createApp(authority);
  server.on('request', app.routing);
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise<void>((resolve) => server.close(() => resolve()));
    await app.close();
  };
  const joinToken = (agent: string): string => issueJoinToken(authority, agent);
  const removeActiveKey = async (): Promise<void> => {
    const removed = await keys.remove(keys.activeKid);
    if (!removed.ok) throw new Error(`the key was not removed: ${removed.error}`);
  };
  return { url, opened, ended, joinToken, removeActiveKey, [Symbol.asyncDispose]: close };
}

async function createApp({ deps }: Authority): Promise<FastifyInstance> {
  const app = Fastify();
  oauthRoutes(app, {
    authority: deps,
    log: pino({ level: 'silent' }),
    recordRefusal: async () => undefined,
    perSourceAndMinute: 1000,
  });
  const { issuer, resources } = deps.urls;
  app.all<{ Params: { upstream: string } }>('/mcp/:upstream', async (request, reply) => {
    const { method, params, headers, raw } = request;
    const url = `${issuer}/mcp/${params.upstream}`;
    const shown = { authorization: headers.authorization, dpop: raw.headersDistinct['dpop'] };
    const known = await authenticate({ ...shown, method, url, resources }, deps);
    if (known.ok) return { runs: known.value.caller.chain.map(({ id }) => id) };
    const challenge = authFailureToChallenge(known.error, { resourceMetadataUrl: `${url}/metadata` });
    return reply.code(challenge.status).headers(challenge.headers).send({ error: challenge.message });
  });
  await app.ready();
  return app;
}
