import { pino } from 'pino';
import { expect, it } from 'vitest';
import type { UpstreamName } from '../../src/base/index.ts';
import { createRechecks } from '../../src/gateway/rechecks.ts';

const shop = 'shop' as UpstreamName;

function setUp(compare: () => Promise<boolean>) {
  const pauses: number[] = [];
  const time = { now: 1_000_000 };
  const pause = async (milliseconds: number): Promise<void> => {
    pauses.push(milliseconds);
    time.now += milliseconds;
  };
  const log = pino({ level: 'silent' });
  return { pauses, time, rechecks: createRechecks({ compare, now: () => time.now, log, pause }) };
}

it('asks nothing of anyone while nothing was announced', () => {
  const { rechecks } = setUp(async () => expect.unreachable());
  expect(rechecks.settle(shop)).toBeUndefined();
});

it('lets calls wait for one look, however many announcements come, and looks once more if one came meanwhile', async () => {
  let looks = 0;
  const { rechecks } = setUp(async () => looks++ === 0);
  for (let i = 0; i < 100; i++) rechecks.announce(shop);
  expect(await rechecks.settle(shop)).toBe(true);
  expect(looks).toBe(2);
  expect(rechecks.settle(shop)).toBeUndefined();
});

it('looks ever less often at an upstream that changes all the time, and at once after a quiet minute', async () => {
  const { rechecks, pauses, time } = setUp(async () => true);
  for (let i = 0; i < 10; i++) {
    rechecks.announce(shop);
    await rechecks.settle(shop);
  }
  expect(pauses).toEqual([200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000]);
  time.now += 61_000;
  rechecks.announce(shop);
  await rechecks.settle(shop);
  expect(pauses).toHaveLength(9);
});

it('does not pause longer for an upstream that announces what is not so', async () => {
  const { rechecks, pauses } = setUp(async () => false);
  for (let i = 0; i < 10; i++) {
    rechecks.announce(shop);
    await rechecks.settle(shop);
  }
  expect(pauses).toEqual(Array(9).fill(200));
});

it('says no until an upstream that cannot be asked can be asked again', async () => {
  let isDown = true;
  const { rechecks } = setUp(async () => {
    if (isDown) throw new Error('down');
    return false;
  });
  rechecks.announce(shop);
  expect(await rechecks.settle(shop)).toBe(false);
  expect(await rechecks.settle(shop)).toBe(false);
  isDown = false;
  expect(await rechecks.settle(shop)).toBe(true);
  expect(rechecks.settle(shop)).toBeUndefined();
});
