// Signing on the event loop against signing in a worker thread that alone has the private key: CPU of the whole
// process for each signature, and how long 64 callers wait. node --conditions=sallyport-source bench/sign.ts
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

const CALLERS = 64;
const SIGNATURES = 6_000;
const PASSES = 5;
/** About what a call token has before its signature. */
const INPUT = Buffer.from('x'.repeat(1100));

type Signer = (input: Buffer) => Promise<Buffer>;
type Pass = {
  readonly cpuMicros: number;
  readonly loopMicros: number;
  readonly p50: number;
  readonly p99: number;
};

if (isMainThread) await main();
else serve(workerData as KeyObject);

function serve(key: KeyObject): void {
  parentPort?.on('message', (batch: readonly Uint8Array[]) => {
    parentPort?.postMessage(batch.map((input) => sign('sha256', input, key)));
  });
}

/** All requests of one turn of the event loop go over in one message, and come back in one. */
function inWorker(worker: Worker): Signer {
  let queue: { input: Buffer; resolve: (signature: Buffer) => void }[] = [];
  const sent: (typeof queue)[] = [];
  worker.on('message', (signatures: readonly Uint8Array[]) => {
    const batch = sent.shift() ?? [];
    batch.forEach(({ resolve }, i) => {
      resolve(Buffer.from(signatures[i] ?? []));
    });
  });
  return (input) =>
    new Promise((resolve) => {
      if (queue.length === 0) {
        setImmediate(() => {
          worker.postMessage(queue.map((waiting) => waiting.input));
          sent.push(queue);
          queue = [];
        });
      }
      queue.push({ input, resolve });
    });
}

/** Callers do a little of their own between signatures, as a gateway does. */
async function measure(signer: Signer): Promise<Pass> {
  const waits: number[] = [];
  let left = SIGNATURES;
  const cpu = process.cpuUsage();
  const loop = performance.eventLoopUtilization();
  await Promise.all(
    Array.from({ length: CALLERS }, async () => {
      while (left-- > 0) {
        const from = performance.now();
        await signer(INPUT);
        waits.push(performance.now() - from);
        await new Promise((resolve) => setImmediate(resolve));
      }
    }),
  );
  const { user, system } = process.cpuUsage(cpu);
  const { active } = performance.eventLoopUtilization(loop);
  waits.sort((one, other) => one - other);
  const at = (share: number): number => waits[Math.floor(waits.length * share)] ?? 0;
  const each = 1 / SIGNATURES;
  return { cpuMicros: (user + system) * each, loopMicros: active * 1000 * each, p50: at(0.5), p99: at(0.99) };
}

async function main(): Promise<void> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const worker = new Worker(new URL(import.meta.url), { workerData: privateKey });
  const signers: Readonly<Record<string, Signer>> = {
    'on the loop': async (input) => sign('sha256', input, privateKey),
    'crypto callback': (input) =>
      new Promise((resolve, reject) => {
        sign('sha256', input, privateKey, (error, signature) => (error ? reject(error) : resolve(signature)));
      }),
    'worker, batched': inWorker(worker),
  };
  for (const signer of Object.values(signers)) await measure(signer); // warm
  const passes = new Map<string, Pass[]>();
  for (let pass = 0; pass < PASSES; pass++) {
    for (const [name, signer] of Object.entries(signers)) {
      passes.set(name, [...(passes.get(name) ?? []), await measure(signer)]);
    }
  }
  for (const [name, all] of passes) {
    const least = (key: keyof Pass): string =>
      Math.min(...all.map((pass) => pass[key])).toFixed(key[0] === 'p' ? 2 : 0);
    process.stdout.write(
      `${name.padEnd(16)} cpu ${least('cpuMicros')} µs, loop ${least('loopMicros')} µs each; p50 ${least('p50')} ms, p99 ${least('p99')} ms\n`,
    );
  }
  await worker.terminate();
}
