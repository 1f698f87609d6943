import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';

const MAIN = new URL('../../src/cli/main.ts', import.meta.url).pathname;
const START_MILLIS = 60_000;

/** `sallyport serve` in a process of its own. */
export type GatewayProcess = {
  /** Kills it without warning, as a power cut would end it. */
  readonly kill: () => Promise<void>;
  /** Asks it to end; resolves with the exit code. */
  readonly stop: () => Promise<number | null>;
};

/** Starts the gateway and waits until it serves. Throws with what it printed when it exits instead. */
export async function startGatewayProcess(configFile: string, publicUrl: string): Promise<GatewayProcess> {
  const child = spawn(process.execPath, ['--conditions=sallyport-source', MAIN, 'serve', '-c', configFile], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  let code: number | null | undefined;
  const exited = new Promise<number | null>((done) =>
    child.once('exit', (status) => {
      code = status;
      done(status);
    }),
  );
  const deadline = Date.now() + START_MILLIS;
  while (!said.includes('listening for agents')) {
    if (code !== undefined || Date.now() > deadline) {
      child.kill('SIGKILL');
      throw new Error(`the gateway did not start at ${publicUrl}: ${said}`);
    }
    await sleep(20);
  }
  return {
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
    async stop() {
      child.kill('SIGTERM');
      return exited;
    },
  };
}
