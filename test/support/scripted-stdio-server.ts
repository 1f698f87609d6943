import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

// A program of its own: a stdio server that does what a request's method says, in ways good servers do not.
type Message = { id?: string | number; method?: string; params?: Record<string, unknown>; result?: unknown };

const write = (message: unknown): boolean => process.stdout.write(`${JSON.stringify(message)}\n`);
const answer = (id: Message['id'], result: unknown): boolean => write({ jsonrpc: '2.0', id, result });
const held: Message[] = [];
const cancelled: unknown[] = [];

const methods: Record<string, (message: Message) => void> = {
  initialize: ({ id, params }) =>
    answer(id, {
      protocolVersion: params?.['protocolVersion'],
      capabilities: { tools: {} },
      serverInfo: { name: 's', version: '1' },
    }),
  'tools/list': ({ id }) => answer(id, { tools: [] }),
  'test/env': ({ id }) => answer(id, { env: process.env, argv: process.argv.slice(2), cwd: process.cwd() }),
  'test/received': (message) => answer(message.id, { message }),
  'test/crash': () => process.exit(7),
  'test/hang': () => undefined,
  'test/hold': (message) => held.push(message),
  'test/answer-held': ({ id }) => {
    for (const message of held.splice(0).reverse()) answer(message.id, { echo: message.params });
    answer(id, {});
  },
  'test/cancelled': ({ id }) => answer(id, { cancelled }),
  'test/raw': ({ id, params }) =>
    process.stdout.write(String(params?.['text']).replaceAll('$id', JSON.stringify(id))),
  'test/large': ({ id, params }) => answer(id, { text: 'x'.repeat(Number(params?.['bytes'])) }),
  'test/split': ({ id }) => {
    const line = Buffer.from(`${JSON.stringify({ jsonrpc: '2.0', id, result: { text: 'grüße 🙂' } })}\n`);
    for (const [at, byte] of line.entries()) setTimeout(() => process.stdout.write(Buffer.of(byte)), at);
  },
  'test/notify': ({ id, params }) => {
    for (const line of (params?.['notifications'] ?? []) as object[]) write({ jsonrpc: '2.0', ...line });
    answer(id, {});
  },
  'test/ask': ({ id }) => {
    write({ jsonrpc: '2.0', id: 'question', method: 'roots/list' });
    held.push({ id: id ?? 0 });
  },
  'test/grandchild': ({ id }) => {
    const grandchild = spawn(
      process.execPath,
      ['-e', 'process.on("SIGTERM",()=>{});setInterval(()=>{},1000)'],
      {
        stdio: 'ignore',
      },
    );
    answer(id, { pid: process.pid, grandchild: grandchild.pid });
  },
  'test/stubborn': ({ id }) => {
    process.on('SIGTERM', () => undefined);
    setInterval(() => undefined, 1000);
    answer(id, { pid: process.pid });
  },
  'test/stderr': ({ id, params }) => {
    process.stderr.write(String(params?.['text']), () => answer(id, {}));
  },
};

createInterface({ input: process.stdin }).on('line', (line) => {
  const message = JSON.parse(line) as Message;
  if (message.method === 'notifications/cancelled') {
    cancelled.push(message.params);
  } else if (message.method === undefined) {
    const asked = held.shift();
    answer(asked?.id, { answered: message });
  } else if (message.id !== undefined) {
    const act = methods[message.method];
    if (act !== undefined) act(message);
    else write({ jsonrpc: '2.0', id: message.id, error: { code: -32601, message: 'Method not found' } });
  }
});
