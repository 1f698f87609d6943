import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';

/**
 * Starts a thread that runs the module `name` beside the module with the URL `beside`. It gets no environment:
 * it needs none. When run from source it gets a compile cache, so that it need not load the type stripper: that
 * one is WebAssembly, and V8 can abort when threads come and go with it
 * (https://github.com/nodejs/node/issues/64500).
 */
export function startThread(name: string, beside: string, workerData: unknown): Worker {
  if (!beside.endsWith('.ts')) {
    return new Worker(new URL(`./${name}.js`, beside), { workerData, name, env: {} });
  }
  const cache = fileURLToPath(new URL('../../node_modules/.cache/sallyport', import.meta.url));
  return new Worker(new URL(`./${name}.ts`, beside), {
    workerData,
    name,
    env: { NODE_COMPILE_CACHE: cache },
  });
}
