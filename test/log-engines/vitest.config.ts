import { resolve } from 'node:path';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  root: resolve(import.meta.dirname, '../..'),
  ssr: { resolve: { conditions: ['sallyport-source'] } },
  test: {
    include: ['test/log-engines/*.engines.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    execArgv: ['--conditions=sallyport-source'],
    fileParallelism: false,
    passWithNoTests: true,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
