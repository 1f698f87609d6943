// A gateway's log and the Redis with its second copy, killed at random points under load, from one seed (CHAOS_SEED).
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, it } from 'vitest';
import { auditFolder, openLog } from '../support/embedded-log.ts';
import { startLogWriter, storedLeaves } from '../support/log-writers.ts';
import { type RedisServer, startRedisServer } from '../support/redis-server.ts';
import { copyOn, streamedLeaves } from '../support/second-copy.ts';
import { seeded } from '../support/seeded.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const SEED = Number(process.env['CHAOS_SEED'] ?? 1);
const ROUNDS = 30;

const tally = { rounds: 0, acknowledged: 0, gatewayKills: 0, redisKills: 0, adopted: 0, sent: 0 };
afterAll(() => void process.stdout.write(`CHAOS_SEED=${SEED} ${JSON.stringify(tally)}\n`));

/** Everything that was promised is in both copies, and nothing is there twice. */
async function compare(folder: string, server: RedisServer, promised: Map<number, string>): Promise<void> {
  const local = storedLeaves(folder);
  const entries = await streamedLeaves(server);
  const remote = new Map(entries);
  expect(entries.length, 'no place twice').toBe(remote.size);
  expect(entries.map(([idx]) => idx)).toEqual(entries.map((_, i) => i));
  expect(new Set(remote.values()).size, 'no record twice').toBe(remote.size);
  const lost = [...promised].filter(([idx, leaf]) => local.get(idx) !== leaf || remote.get(idx) !== leaf);
  expect(lost, 'acknowledged, and not in both').toEqual([]);
}

it('INVARIANT: no kill of the gateway or of Redis loses an acknowledged record in either copy, or doubles one', async () => {
  const { below, pick } = seeded(SEED);
  const folder = temporaryFolder();
  await using server = await startRedisServer();
  const promised = new Map<number, string>();
  for (let round = 0; round < ROUNDS; round++) {
    const settings = [`copy=${server.port}`];
    const writer = startLogWriter(folder, { callers: pick([1, 4, 16, 64]), settings });
    expect(await writer.opened, writer.lines().join('\n')).toBe(true);
    await sleep(20 + below(250));
    if (below(2) === 0) {
      await server.kill();
      tally.redisKills++;
      if (below(2) === 0)
        await sleep(below(600)); // long enough for some to be refused
      else writer.signal('SIGKILL'); // both at once
      await server.restart();
      await sleep(below(400));
    }
    writer.signal('SIGKILL');
    tally.gatewayKills++;
    const { signal } = await writer.ended;
    expect(signal, writer.lines().slice(-3).join('\n')).toBe('SIGKILL');
    for (const [idx, leaf] of writer.acknowledged()) {
      expect(promised.get(idx) ?? leaf, `record ${idx} was promised twice`).toBe(leaf);
      promised.set(idx, leaf);
    }
    tally.rounds++;
    const aligned = writer.lines().flatMap((line) => /sent (\d+) adopted (\d+)$/.exec(line) ?? []);
    tally.sent += Number(aligned[1]);
    tally.adopted += Number(aligned[2]);
    if (round % 5 === 4) {
      const log = await openLog(folder, { copy: copyOn(server) });
      await log[Symbol.asyncDispose]();
      await compare(folder, server, promised);
    }
  }
  tally.acknowledged = promised.size;
  expect(promised.size).toBeGreaterThan(1000);
  expect(auditFolder(folder)).toMatchObject({ verdict: 'verified', findings: [], open: [] });
  const local = storedLeaves(folder);
  expect(await streamedLeaves(server)).toEqual([...local]);
}, 300_000);
