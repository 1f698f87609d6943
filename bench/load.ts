// The load generator: a process of its own, told over IPC what to prepare and when to go.
import { Caller } from './caller.ts';
import type { LoadCommand, LoadReply, LoadResult } from './load-protocol.ts';

const callersOf = new Map<string, Caller[]>();
let ready: { readonly callers: readonly Caller[]; readonly calls: number } = { callers: [], calls: 0 };

async function prepare(command: LoadCommand & { kind: 'prepare' }): Promise<LoadReply> {
  const { address, callers: count, callsPerCaller: calls } = command;
  const known = callersOf.get(address.name) ?? [];
  callersOf.set(address.name, known);
  while (known.length < count) known.push(new Caller(address, known.length));
  const callers = known.slice(0, count);
  await Promise.all(callers.map((caller) => caller.prepare(calls)));
  ready = { callers, calls };
  return { kind: 'ready' };
}

async function run(): Promise<LoadResult> {
  const latencies: number[] = [];
  const start = performance.now();
  await Promise.all(ready.callers.map((caller) => callOneByOne(caller, ready.calls, latencies)));
  return { seconds: (performance.now() - start) / 1000, latencies };
}

async function callOneByOne(caller: Caller, calls: number, latencies: number[]): Promise<void> {
  for (let i = 0; i < calls; i++) {
    const start = performance.now();
    await caller.call();
    latencies.push(performance.now() - start);
  }
}

async function obey(command: LoadCommand): Promise<LoadReply> {
  switch (command.kind) {
    case 'prepare':
      return prepare(command);
    case 'run':
      return { kind: 'done', result: await run() };
  }
}

process.on('message', (command: LoadCommand) => {
  obey(command)
    .catch((error: unknown): LoadReply => ({ kind: 'failed', message: describe(error) }))
    .then((reply) => process.send?.(reply))
    .catch(() => process.exit(1));
});
process.on('disconnect', () => process.exit(0));

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message} (${describe(error.cause)})`;
}
