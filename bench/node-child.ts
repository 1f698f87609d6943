import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** The project's folder. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** A Node.js process of the benchmark. Disposing ends it: SIGTERM first, SIGKILL after five seconds. */
export type NodeChild = AsyncDisposable & {
  readonly pid: number;
  readonly process: ChildProcess;
  /** The end of what it wrote to stderr, for error messages. */
  readonly complaints: () => string;
};

/** Starts a script of the project with this Node.js. `nodeFlags` come before the script, `env` beside our own. */
export function startNode(
  script: string,
  args: readonly string[],
  nodeFlags: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): NodeChild {
  const child = spawn(process.execPath, [...nodeFlags, join(root, script), ...args], {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  const { pid } = child;
  if (pid === undefined) throw new Error(`${script} could not be started`);
  let stderr = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr = `${stderr}${chunk.toString()}`.slice(-4000);
  });
  const killNow = () => child.kill('SIGKILL');
  process.once('exit', killNow);
  child.once('exit', () => process.off('exit', killNow));
  return { pid, process: child, complaints: () => stderr, [Symbol.asyncDispose]: () => end(child) };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  const patience = setTimeout(() => child.kill('SIGKILL'), 5000);
  child.kill('SIGTERM');
  await exited;
  clearTimeout(patience);
}

/** The port a script of this folder announces on stdout. */
export async function announcedPort(child: NodeChild): Promise<number> {
  const { stdout } = child.process;
  if (stdout === null) throw new Error('stdout is not a pipe');
  const line = once(createInterface({ input: stdout }), 'line');
  const ended = once(child.process, 'exit').then(() => undefined);
  const first = await Promise.race([line, ended]);
  if (first === undefined) throw new Error(`a process ended before it was ready: ${child.complaints()}`);
  return (JSON.parse(String(first[0])) as { port: number }).port;
}
