import { resolve } from 'node:path';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  root: resolve(import.meta.dirname, '../..'),
  ssr: { resolve: { conditions: ['sallyport-source'] } },
  test: {
    include: ['test/chaos/*.chaos.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    execArgv: ['--conditions=sallyport-source'],
    fileParallelism: false,
    testTimeout: 900_000,
    disableConsoleIntercept: true,
  },
});
