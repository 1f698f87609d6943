import { resolve } from 'node:path';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  root: resolve(import.meta.dirname, '../..'),
  ssr: { resolve: { conditions: ['sallyport-source'] } },
  test: {
    include: ['test/stress/*.stress.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    execArgv: ['--expose-gc', '--conditions=sallyport-source'],
    fileParallelism: false,
    testTimeout: 180_000,
    hookTimeout: 60_000,
    disableConsoleIntercept: true,
  },
});
