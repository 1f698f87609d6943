import { spawn } from 'node:child_process';
import { createInterface, type Interface } from 'node:readline';
import { Readable, type Stream } from 'node:stream';
import { fileURLToPath } from 'node:url';

const SALLYPORT = fileURLToPath(new URL('../../../src/cli/main.ts', import.meta.url));

/** How users start `sallyport`, from source. */
export function connectorCommand(args: readonly string[]): { command: string; args: string[] } {
  return { command: process.execPath, args: ['--conditions=sallyport-source', SALLYPORT, ...args] };
}

/** Starts the connector on a port of its own and gives its address. It is stopped with the stack. */
export async function startListening(args: readonly string[], cleanUp: DisposableStack): Promise<URL> {
  const { command, args: all } = connectorCommand([...args, '--http', '0']);
  const child = spawn(command, all, { stdio: ['ignore', 'ignore', 'pipe'] });
  cleanUp.defer(() => void child.kill());
  const exited = new Promise<never>((_, reject) => {
    child.once('exit', (code) => reject(new Error(`the connector ended with ${code}`)));
  });
  exited.catch(() => undefined); // that it ends later is as it should be
  return Promise.race([listeningAt(followAddresses(child.stderr)), exited]);
}

function listeningAt(lines: Interface): Promise<URL> {
  return new Promise((resolve) => {
    lines.on('line', (line) => {
      const { message, url } = parseSaid(line);
      if (message === 'listening' && url !== undefined) resolve(new URL(url));
    });
  });
}

/** Reads what a connector says on stderr, and opens what a person should open. */
export function followAddresses(stderr: Stream | null): Interface {
  if (!(stderr instanceof Readable)) throw new Error('the connector says nothing');
  const lines = createInterface({ input: stderr });
  lines.on('line', (line) => {
    process.stderr.write(`${line}\n`);
    const { message, url } = parseSaid(line);
    if (message === 'open this address to log in' && url !== undefined)
      void fetch(url).catch(() => undefined);
  });
  return lines;
}

function parseSaid(line: string): { readonly message?: string; readonly url?: string } {
  return line.startsWith('{') ? (JSON.parse(line) as { message?: string; url?: string }) : {};
}
