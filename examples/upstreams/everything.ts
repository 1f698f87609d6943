import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';

const ENTRY = fileURLToPath(
  new URL('../../node_modules/@modelcontextprotocol/server-everything/dist/index.js', import.meta.url),
);
const START_MILLIS = 20_000;

/** The reference server `server-everything` over streamable HTTP, in a process of its own on a free port. */
export async function startEverything(): Promise<AsyncDisposable & { readonly url: string }> {
  const port = await freePort();
  const child = spawn(process.execPath, [ENTRY, 'streamableHttp'], {
    env: { PORT: String(port) },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const exited = new Promise<void>((done) => child.once('exit', () => done()));
  await new Promise<void>((ready, fail) => {
    const late = setTimeout(() => fail(new Error('server-everything did not start in time')), START_MILLIS);
    child.once('exit', (code) => fail(new Error(`server-everything exited with ${code}`)));
    child.stderr.on('data', (chunk) => {
      if (!String(chunk).includes('listening')) return;
      clearTimeout(late);
      ready();
    });
  });
  return {
    url: `http://127.0.0.1:${port}/mcp`,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

/** Below the ports that systems give out by themselves, so that none of those can be in the way a moment later. */
const [FIRST_PORT, PORTS, MAX_TRIES] = [20_000, 12_000, 100];
const given = new Set<number>();

/** A port of loopback that was free a moment ago; no two calls of a process get the same. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const port = FIRST_PORT + randomInt(PORTS);
    if (given.has(port) || !(await isFree(port))) continue;
    given.add(port);
    return port;
  }
  throw new Error('no free port');
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((done) => {
    server.once('error', () => done(false));
    server.listen(port, '127.0.0.1', () => server.close(() => done(true)));
  });
}
