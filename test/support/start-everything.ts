import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';

const { resolve } = createRequire(import.meta.url);

/** The entry files of published MCP servers, to be run with this Node.js. */
export const EVERYTHING = join(
  dirname(resolve('@modelcontextprotocol/server-everything/package.json')),
  'dist/index.js',
);
export const FILESYSTEM = join(
  dirname(resolve('@modelcontextprotocol/server-filesystem/package.json')),
  'dist/index.js',
);

/** `@modelcontextprotocol/server-everything` over streamable HTTP: sessions, GET stream, resumption. */
export async function startEverything(): Promise<AsyncDisposable & { readonly url: string }> {
  const port = await freePort();
  const child = spawn(process.execPath, [EVERYTHING, 'streamableHttp'], {
    env: { PORT: String(port) },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const exited = new Promise((done) => child.once('exit', done));
  await new Promise<void>((ready, fail) => {
    child.once('exit', (code) => fail(new Error(`server-everything exited with ${code}`)));
    child.stderr.on('data', (chunk) => String(chunk).includes('listening') && ready());
  });
  return {
    url: `http://127.0.0.1:${port}/mcp`,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const address = server.address();
  await new Promise((done) => server.close(done));
  if (address === null || typeof address === 'string') throw new Error('no free port');
  return address.port;
}
