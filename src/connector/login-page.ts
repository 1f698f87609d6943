import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SallyportError } from '../base/index.ts';
import type { ConnectorLog } from './bridge.ts';

/** Where a person is sent back to after logging in: loopback, as native apps do (RFC 8252 §7.3). */
export type LoginPage = AsyncDisposable & {
  readonly redirectUri: string;
  /** Tells the person to open the address, and waits for their return. */
  readonly visit: (address: URL) => Promise<URL>;
};

const HOST = '127.0.0.1';
const PATH = '/callback';
/** How long a person may take. */
const PATIENCE_MILLISECONDS = 300_000;

/**
 * Listens for the return of one person at a time, which is known by its `state`: any web page can make a browser ask
 * for this address, and must not end the wait. What the person brings is for the caller to check.
 */
export async function openLoginPage(log: ConnectorLog): Promise<LoginPage> {
  let waiting: (PromiseWithResolvers<URL> & { readonly state: string | null }) | undefined;
  const server = createServer((request, response) => {
    const address = URL.canParse(request.url ?? '', redirectUri)
      ? new URL(request.url ?? '', redirectUri)
      : undefined;
    const isAwaited = waiting !== undefined && address?.searchParams.get('state') === waiting.state;
    const isReturn = request.method === 'GET' && address?.pathname === PATH && isAwaited;
    response.writeHead(isReturn ? 200 : 404, { 'content-type': 'text/plain; charset=utf-8' });
    response.end(isReturn ? 'You can close this page.\n' : 'There is nothing here.\n');
    if (isReturn && address !== undefined) waiting?.resolve(address);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, HOST, resolve);
  });
  server.unref();
  const redirectUri = `http://${HOST}:${(server.address() as AddressInfo).port}${PATH}`;
  return {
    redirectUri,
    async visit(address) {
      const mine = { ...Promise.withResolvers<URL>(), state: address.searchParams.get('state') };
      waiting?.reject(new SallyportError('ERR_REQUEST_REFUSED', 'another login began'));
      waiting = mine;
      const patience = setTimeout(() => {
        mine.reject(new SallyportError('ERR_REQUEST_REFUSED', 'nobody logged in within five minutes'));
      }, PATIENCE_MILLISECONDS);
      log('open this address to log in', { url: address.href });
      try {
        return await mine.promise;
      } finally {
        if (waiting === mine) waiting = undefined;
        clearTimeout(patience);
      }
    },
    async [Symbol.asyncDispose]() {
      waiting?.reject(
        new SallyportError('ERR_REQUEST_REFUSED', 'the connector ended before anybody logged in'),
      );
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
