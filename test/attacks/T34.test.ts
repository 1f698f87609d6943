import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { openGateway } from '../../src/cli/open-gateway.ts';
import { createLogger, parseConfig } from '../../src/gateway/index.ts';
import { readRecords } from '../support/open-ops-gateway.ts';
import { callTool, type OpsSetting, prepareOpsGateway, refusalOf } from '../support/ops-gateway.ts';

const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each[Symbol.asyncDispose]();
});

async function start(log: object = {}) {
  const setting: OpsSetting = await prepareOpsGateway();
  open.push(setting);
  const gateway = await openGateway(parseConfig({ ...setting.config, log }, 'test'), {
    log: createLogger('silent'),
  });
  open.push(gateway);
  return { setting, gateway, run: await setting.startRun() };
}

const REFUND = { invoice: 'INV-1042', amount_cents: 100, reason: 'late' };

describe('T34: a call goes out although it cannot be recorded', () => {
  it('nothing goes out once the file of the log was taken away, and the gateway ends', async () => {
    const { setting, gateway, run } = await start();
    await callTool(run, 'get_invoice', { number: 'INV-1042' });
    const before = setting.opsDesk.seen().length;
    renameSync(join(setting.data, 'log.db'), join(setting.data, 'log.db.stolen'));
    const answers = [
      await callTool(run, 'get_invoice', { number: 'INV-1042' }),
      await callTool(run, 'get_invoice', { number: 'INV-1042' }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([503, 503]);
    expect(setting.opsDesk.seen()).toHaveLength(before);
    expect((await gateway.failed).message).toMatch(/was moved, deleted or replaced/);
    renameSync(join(setting.data, 'log.db.stolen'), join(setting.data, 'log.db'));
  });

  it('nothing that acts goes out while the disk is nearly full, and that is in the log; what reads does', async () => {
    const { setting, run } = await start({ minFreeMegabytes: 1_000_000 });
    await vi.waitFor(async () => {
      const { body } = await callTool(run, 'issue_refund', REFUND);
      expect(refusalOf(body)).toMatchObject({
        code: 'log_degraded',
        reason: expect.stringContaining('reads'),
      });
    });
    const acted = setting.opsDesk.seen().length;
    await callTool(run, 'issue_refund', REFUND);
    expect(setting.opsDesk.seen()).toHaveLength(acted);
    const { status, body } = await callTool(run, 'get_invoice', { number: 'INV-1042' });
    expect(status).toBe(200);
    expect(refusalOf(body)).toBeUndefined();
    expect(setting.opsDesk.seen()).toHaveLength(acted + 1);
    const refusals = readRecords(setting.data).filter(({ type }) => type === 'refusal');
    expect(refusals.at(-1)).toMatchObject({ decision: { code: 'log_degraded', effect: 'forbid' } });
  });
});
