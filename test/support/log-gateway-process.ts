// A gateway as far as a mirror sees it: a log that is written to all the time, and an admin plane that serves it.
// argv: data folder, port, bearer token of the investigator. Writes no more when it gets SIGUSR2.
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../src/base/index.ts';
import { createAdminPlane } from '../../src/gateway/admin/create-admin-plane.ts';
import { openEmbeddedLog, publishEmbeddedLog } from '../../src/storage/index.ts';
import { intent, newCall, newRun, outcome, refusal, runClose, runOpen } from './records.ts';

const [folder = '', port = '', token = ''] = process.argv.slice(2);
let isWriting = true;
process.on('SIGUSR2', () => {
  isWriting = false;
});

const log = await openEmbeddedLog({
  folder,
  origin: 'agents.example.org/log',
  now: systemClock,
  queueLimit: 1000,
  checkpointEveryMs: 100,
  epochEveryMs: 300,
});

type Ports = Parameters<typeof createAdminPlane>[0];
const plane = createAdminPlane({
  ...({} as Ports),
  publishedLog: publishEmbeddedLog(folder),
  operator: async (authorization) =>
    authorization === `Bearer ${token}` ? { name: 'mirror', roles: ['investigator'] } : undefined,
  allowedHosts: new Set([`127.0.0.1:${port}`]),
  log: { warn: () => undefined, error: () => undefined } as unknown as Ports['log'],
});
await plane.listen({ host: '127.0.0.1', port: Number(port) });
process.stdout.write('serving\n');

async function callForEver(): Promise<void> {
  while (isWriting) {
    const run = newRun();
    await log.append(runOpen(run));
    for (let i = 0; i < 20 && isWriting; i++) {
      const call = newCall();
      const { leaf } = await log.append(intent(run, call));
      await log.append(refusal(run, newCall()));
      await sleep(2);
      await log.append(outcome(run, call, leaf));
    }
    await log.append(runClose(run));
  }
}

await Promise.all(Array.from({ length: 4 }, callForEver));
process.stdout.write('quiet\n');
