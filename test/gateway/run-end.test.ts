import { afterEach, describe, expect, it } from 'vitest';
import { openGateway } from '../../src/cli/open-gateway.ts';
import { createLogger, parseConfig } from '../../src/gateway/index.ts';
import { openLogReader } from '../../src/storage/index.ts';
import { callTool, prepareOpsGateway } from '../support/ops-gateway.ts';

const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each[Symbol.asyncDispose]();
});

describe('the end of a run', () => {
  it('is the last that is permitted in it, however many calls are being decided', async () => {
    const setting = await prepareOpsGateway();
    open.push(setting);
    const config = parseConfig(setting.config, 'test');
    open.push(await openGateway(config, { log: createLogger('silent') }));
    for (let round = 0; round < 5; round++) {
      const run = await setting.startRun();
      const calls = Array.from({ length: 12 }, () =>
        callTool(run, 'get_invoice', { number: 'INV-1042' }).catch((error: Error) => error.message),
      );
      await new Promise((resolve) => setTimeout(resolve, round * 3));
      await run.end();
      await Promise.all(calls);
      using reader = openLogReader(config.data);
      const types = reader.tree(run.id).map(({ type }) => type);
      const end = types.indexOf('run.close');
      expect(end).toBeGreaterThan(0);
      expect(types.slice(end)).not.toContain('intent');
    }
  });
});
