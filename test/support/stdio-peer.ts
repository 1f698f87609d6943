import { PassThrough } from 'node:stream';
import { isJsonObject, type JsonObject } from '../../src/base/index.ts';

/** Both ends of a stdio MCP connection in this process, as lines of JSON. */
export type StdioPeer = {
  readonly stdin: PassThrough;
  readonly stdout: PassThrough;
  /** Everything that came out, parsed. */
  readonly received: JsonObject[];
  send: (message: JsonObject | string) => void;
  /** The first message that fits; waits for it. */
  next: (fits: (message: JsonObject) => boolean) => Promise<JsonObject>;
  answer: (id: string | number) => Promise<JsonObject>;
};

export function createStdioPeer(): StdioPeer {
  const stdin = new PassThrough();
  const stdout = new PassThrough();
  const received: JsonObject[] = [];
  let waiting: (() => void)[] = [];
  let rest = '';
  stdout.on('data', (chunk) => {
    const lines = (rest + String(chunk)).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const message: unknown = JSON.parse(line);
      if (!isJsonObject(message)) throw new Error(`not an object on stdout: ${line}`);
      received.push(message);
    }
    for (const wake of waiting.splice(0)) wake();
  });
  const next: StdioPeer['next'] = async (fits) => {
    const deadline = Date.now() + 10_000;
    for (;;) {
      const message = received.find(fits);
      if (message !== undefined) return message;
      if (Date.now() > deadline) throw new Error(`no such message in ${JSON.stringify(received)}`);
      await new Promise<void>((wake) => {
        const timer = setTimeout(wake, 1000);
        waiting.push(() => {
          clearTimeout(timer);
          wake();
        });
      });
      waiting = [];
    }
  };
  return {
    stdin,
    stdout,
    received,
    send: (message) =>
      void stdin.write(`${typeof message === 'string' ? message : JSON.stringify(message)}\n`),
    next,
    answer: (id) => next((message) => message['id'] === id && message['method'] === undefined),
  };
}
