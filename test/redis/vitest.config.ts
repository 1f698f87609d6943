import { resolve } from 'node:path';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  root: resolve(import.meta.dirname, '../..'),
  ssr: { resolve: { conditions: ['sallyport-source'] } },
  test: {
    include: ['test/redis/*.redis.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    execArgv: ['--conditions=sallyport-source'],
    fileParallelism: false,
    // Tests wait for conditions; these only end one that would wait for ever, on however busy a machine.
    testTimeout: 180_000,
    hookTimeout: 180_000,
  },
});
