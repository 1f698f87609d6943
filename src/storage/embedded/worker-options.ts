import { fileURLToPath } from 'node:url';
import type { WorkerOptions } from 'node:worker_threads';

/**
 * A worker gets no environment: it needs none. When run from source it gets a compile cache, so that it need
 * not load the type stripper: that one is WebAssembly, and V8 can abort when threads come and go with it
 * (https://github.com/nodejs/node/issues/64500).
 */
export function workerOptions(name: string, workerData: unknown): WorkerOptions {
  if (!import.meta.url.endsWith('.ts')) return { workerData, name, env: {} };
  const cache = fileURLToPath(new URL('../../../node_modules/.cache/sallyport', import.meta.url));
  return { workerData, name, env: { NODE_COMPILE_CACHE: cache } };
}
