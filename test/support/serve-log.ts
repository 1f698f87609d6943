import { freePort } from '../../examples/upstreams/everything.ts';
import { createAdminPlane } from '../../src/gateway/admin/create-admin-plane.ts';
import type { RemoteLog } from '../../src/mirror/index.ts';

type Ports = Parameters<typeof createAdminPlane>[0];

/** A gateway's admin plane that serves what `served` says at the moment, honest or not. */
export type ServedLog = AsyncDisposable & { readonly url: string; served: RemoteLog };

export const INVESTIGATOR = 'token-of-an-investigator';

/** The real routes, on loopback, for whoever shows the token. */
export async function serveLog(remote: RemoteLog): Promise<ServedLog> {
  const port = await freePort();
  const served = { url: `http://127.0.0.1:${port}`, served: remote };
  const plane = createAdminPlane({
    ...({} as Ports),
    publishedLog: {
      async checkpoint() {
        const note = await served.served.checkpoint();
        return note.ok ? note.value : undefined;
      },
      async tile(level, n, width) {
        const tile = await served.served.tile(level, n, width);
        return tile.ok ? tile.value : undefined;
      },
      async keyChanges() {
        const told = await served.served.keyChanges();
        return told.ok ? (JSON.parse(told.value) as string[]) : [];
      },
    },
    operator: async (authorization) =>
      authorization === `Bearer ${INVESTIGATOR}` ? { name: 'mirror', roles: ['investigator'] } : undefined,
    allowedHosts: new Set([`127.0.0.1:${port}`]),
    log: { warn: () => undefined, error: () => undefined } as unknown as Ports['log'],
  });
  await plane.listen({ host: '127.0.0.1', port });
  return Object.assign(served, { [Symbol.asyncDispose]: () => plane.close() });
}
