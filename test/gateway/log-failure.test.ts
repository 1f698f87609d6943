import { afterEach, describe, expect, it } from 'vitest';
import { type OpenGateway, openGateway } from '../../src/cli/open-gateway.ts';
import { createLogger, parseConfig } from '../../src/gateway/index.ts';
import type { IntentLog, NewRecord } from '../../src/intent-log/index.ts';
import { callTool, type OpsSetting, prepareOpsGateway } from '../support/ops-gateway.ts';

const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each[Symbol.asyncDispose]();
});

/** A gateway whose log fails for the records that `fails` names, from when it is told to. */
async function openFailing(
  fails: (record: NewRecord) => boolean,
): Promise<{ setting: OpsSetting; gateway: OpenGateway; fail: () => void }> {
  let isFailing = false;
  const tap = (log: IntentLog): IntentLog => ({
    failed: log.failed,
    append: (record) =>
      isFailing && fails(record) ? Promise.reject(new Error('disk full')) : log.append(record),
    [Symbol.asyncDispose]: () => log[Symbol.asyncDispose](),
  });
  const setting = await prepareOpsGateway();
  open.push(setting);
  const gateway = await openGateway(parseConfig(setting.config, 'test'), {
    log: createLogger('silent'),
    tap,
  });
  open.push(gateway);
  return {
    setting,
    gateway,
    fail() {
      isFailing = true;
    },
  };
}

const INVOICE = { number: 'INV-1042' };

describe('when the log cannot be written', () => {
  it('no call goes out: 503, and the upstream hears nothing', async () => {
    const { setting, fail } = await openFailing(({ type }) => type === 'intent');
    const run = await setting.startRun();
    const before = setting.opsDesk.seen().length;
    fail();
    const { status, body } = await callTool(run, 'get_invoice', INVOICE);
    expect(status).toBe(503);
    expect(JSON.stringify(body)).not.toContain('disk full');
    expect(setting.opsDesk.seen().length).toBe(before);
  });

  it('no result is released whose outcome is not on disk', async () => {
    const { setting, fail } = await openFailing(({ type }) => type === 'outcome');
    const run = await setting.startRun();
    fail();
    const answer = await callTool(run, 'get_invoice', INVOICE).catch((error: Error) => ({
      status: error.name,
      body: {},
    }));
    expect(JSON.stringify(answer)).not.toContain('INV-1042');
    expect(answer.status).not.toBe(200);
  });

  it('a refusal stays a refusal', async () => {
    const { setting, fail } = await openFailing(({ type }) => type === 'refusal');
    const run = await setting.startRun();
    const before = setting.opsDesk.seen().length;
    fail();
    const { status } = await callTool(run, 'create_payment', {
      iban: 'DE00',
      amount_cents: 1,
      reference: 'x',
    });
    expect(status).toBe(503);
    expect(setting.opsDesk.seen().length).toBe(before);
  });

  it('no run begins', async () => {
    const { setting, fail } = await openFailing(({ type }) => type === 'run.open');
    fail();
    await expect(setting.startRun()).rejects.toThrow(/temporarily_unavailable/);
  });

  it('a run that was to end is over all the same, and the end is not acknowledged', async () => {
    const { setting, fail } = await openFailing(({ type }) => type === 'run.close');
    const run = await setting.startRun();
    fail();
    await expect(run.end()).rejects.toThrow();
    expect((await callTool(run, 'get_invoice', INVOICE)).status).toBe(401);
  });
});
