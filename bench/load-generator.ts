import type { Address, LoadCommand, LoadReply, LoadResult } from './load-protocol.ts';
import { type NodeChild, startNode } from './node-child.ts';

/** The parent's hold on the load generator. */
export class LoadGenerator implements AsyncDisposable {
  readonly #child: NodeChild = startNode('bench/load.ts', []);

  /** Callers connect, get tokens and sign `callsPerCaller` requests each; nothing of it is timed. */
  async prepare(address: Address, callers: number, callsPerCaller: number): Promise<void> {
    await this.#ask({ kind: 'prepare', address, callers, callsPerCaller });
  }

  /** Sends what was prepared, each caller one request after the other. Throws at the first wrong answer. */
  async run(): Promise<LoadResult> {
    const reply = await this.#ask({ kind: 'run' });
    if (reply.kind !== 'done') throw new Error(`unexpected reply "${reply.kind}" of the load generator`);
    return reply.result;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child[Symbol.asyncDispose]();
  }

  async #ask(command: LoadCommand): Promise<LoadReply> {
    const { process: child, complaints } = this.#child;
    const { promise, resolve, reject } = Promise.withResolvers<LoadReply>();
    const died = () => reject(new Error(`the load generator ended: ${complaints()}`));
    child.once('message', resolve).once('exit', died);
    try {
      child.send(command, (error) => error && reject(error));
      const reply = await promise;
      if (reply.kind === 'failed') throw new Error(reply.message);
      return reply;
    } finally {
      child.off('message', resolve).off('exit', died);
    }
  }
}
