// Writes to an embedded log until it is killed or the log fails; each acknowledged record is one line on stdout.
// argv: data folder, number of parallel callers, and as `name=number` when wanted: `jump` (the clock is off by up to
// so many seconds, in either direction and differently at each look), `timeout` (milliseconds for a batch).
import { systemClock } from '../../src/base/index.ts';
import { openEmbeddedLog } from '../../src/storage/index.ts';
import { intent, newCall, newRun, outcome, runOpen } from './records.ts';

const [folder = '', callers = '1', ...settings] = process.argv.slice(2);
const setting = (name: string): number | undefined => {
  const found = settings.find((each) => each.startsWith(`${name}=`));
  return found === undefined ? undefined : Number(found.slice(name.length + 1));
};
const jump = setting('jump') ?? 0;
const timeout = setting('timeout');
const say = (line: string): void => {
  process.stdout.write(`${line}\n`); // a pipe: written before it returns
};

say(`pid ${process.pid}`);
const log = await openEmbeddedLog({
  folder,
  origin: 'agents.example.org/log',
  now: () => systemClock() + Math.round((Math.random() - 0.5) * 2000 * jump),
  queueLimit: 1000,
  checkpointEveryMs: 50,
  ...(timeout === undefined ? {} : { appendTimeoutMs: timeout }),
});
say(`open ${log.recovered.length}`);
void log.failed.then((error) => {
  say(`failed ${error.message}`);
  process.exit(3);
});

async function callForEver(): Promise<void> {
  const run = newRun();
  await log.append(runOpen(run));
  for (;;) {
    const call = newCall();
    const receipt = await log.append(intent(run, call));
    say(`${receipt.index} ${receipt.leaf}`);
    const done = await log.append(outcome(run, call, receipt.leaf));
    say(`${done.index} ${done.leaf}`);
  }
}

await Promise.all(Array.from({ length: Number(callers) }, callForEver));
