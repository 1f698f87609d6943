import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';

/**
 * Starts one of the worker scripts of this folder. The worker gets no environment: it needs none. When run from
 * source it gets a compile cache, so that it need not load the type stripper: that one is WebAssembly, and V8 can
 * abort when threads come and go with it (https://github.com/nodejs/node/issues/64500).
 */
export function startThread(script: 'audit-worker' | 'log-worker', workerData: object): Worker {
  const options = { workerData, name: script };
  if (!import.meta.url.endsWith('.ts')) {
    return new Worker(new URL(`./${script}.js`, import.meta.url), { ...options, env: {} });
  }
  const cache = fileURLToPath(new URL('../../../node_modules/.cache/sallyport', import.meta.url));
  const env = { NODE_COMPILE_CACHE: cache };
  return new Worker(new URL(`./${script}.ts`, import.meta.url), { ...options, env });
}
