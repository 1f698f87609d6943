import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { logVerify } from '../../src/cli/log.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import { readRecords } from '../support/open-ops-gateway.ts';
import { callTool, type OpsSetting, prepareOpsGateway } from '../support/ops-gateway.ts';

const KILLS = 10;
const CALLERS = 4;

/** Agents that work until their gateway dies; their calls are all allowed ones and refused ones in turn. */
async function work(setting: OpsSetting): Promise<void> {
  try {
    const run = await setting.startRun();
    for (let i = 0; i < 500; i++) {
      await callTool(run, 'get_invoice', { number: 'INV-1042' });
      await callTool(run, 'create_payment', { iban: 'DE00', amount_cents: 1, reference: 'x' });
      await callTool(run, 'list_inbox');
    }
  } catch {
    // The gateway was killed under it: that is the point.
  }
}

it('INVARIANT: no call without a durable intent, also when the gateway is killed at any point', {
  timeout: 180_000,
}, async () => {
  await using setting = await prepareOpsGateway();
  let worked = 0;
  for (let kill = 0; kill < KILLS; kill++) {
    const gateway = await startGatewayProcess(setting.configFile, setting.publicUrl);
    const before = setting.opsDesk.seen().length;
    const working = Array.from({ length: CALLERS }, () => work(setting));
    await sleep(50 + Math.random() * 700);
    await gateway.kill();
    await Promise.all(working);
    worked += setting.opsDesk.seen().length - before;
  }
  expect(worked, 'the kills came before any work was done').toBeGreaterThan(KILLS);

  const last = await startGatewayProcess(setting.configFile, setting.publicUrl);
  expect(await last.stop()).toBe(0);

  const records = readRecords(setting.data);
  const intents = new Set(records.flatMap((record) => (record.type === 'intent' ? record.call : [])));
  const outcomes = records.flatMap((record) => (record.type === 'outcome' ? [record] : []));
  for (const { jti } of setting.opsDesk.seen()) expect(intents).toContain(jti);
  expect(outcomes.map((outcome) => outcome.call).sort()).toEqual([...intents].sort());
  expect(await logVerify({ folder: setting.data, out: () => undefined })).toBe(0);
  expect(setting.opsDesk.payments()).toEqual([]);
});
