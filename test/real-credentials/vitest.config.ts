import { resolve } from 'node:path';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  root: resolve(import.meta.dirname, '../..'),
  ssr: { resolve: { conditions: ['sallyport-source'] } },
  test: {
    include: ['test/real-credentials/*.real.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    execArgv: ['--conditions=sallyport-source'],
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
