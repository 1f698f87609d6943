// Writes to an embedded log until it is killed or the log fails; each acknowledged record is one line on stdout.
// argv: data folder, number of parallel callers, and as `name=number` when wanted: `jump` (the clock is off by up to
// so many seconds, in either direction and differently at each look), `timeout` (milliseconds for a batch), `content`
// (characters that each call says and is answered; then each run makes ten calls), `terminate` (after so many milliseconds
// the thread of the log is ended), `copy` (port of a Redis on loopback for the second copy; what it refuses is tried again).
import { setTimeout as sleep } from 'node:timers/promises';
import { type RunId, SallyportError, systemClock } from '../../src/base/index.ts';
import { openEmbeddedLog } from '../../src/storage/index.ts';
import { intent, newCall, newRun, outcome, runOpen } from './records.ts';
import { copyOn } from './second-copy.ts';

const [folder = '', callers = '1', ...settings] = process.argv.slice(2);
const setting = (name: string): number | undefined => {
  const found = settings.find((each) => each.startsWith(`${name}=`));
  return found === undefined ? undefined : Number(found.slice(name.length + 1));
};
const jump = setting('jump') ?? 0;
const timeout = setting('timeout');
const content = setting('content');
const terminate = setting('terminate');
const copy = setting('copy');
const say = (line: string): void => {
  process.stdout.write(`${line}\n`); // a pipe: written before it returns
};

process.on('worker', (worker) => {
  if (terminate !== undefined) setTimeout(() => void worker.terminate(), terminate);
});

say(`pid ${process.pid}`);
const log = await openEmbeddedLog({
  folder,
  origin: 'agents.example.org/log',
  now: () => systemClock() + Math.round((Math.random() - 0.5) * 2000 * jump),
  queueLimit: 1000,
  checkpointEveryMs: 50,
  ...(timeout === undefined ? {} : { appendTimeoutMs: timeout }),
  ...(content === undefined ? {} : { content: { keep: 'encrypted', maxBytes: 1_000_000 } }),
  ...(copy === undefined ? {} : { copy: copyOn({ url: `redis://127.0.0.1:${copy}` }) }),
});
say(`open ${log.recovered.length} sent ${log.aligned?.sent ?? 0} adopted ${log.aligned?.adopted ?? 0}`);
void log.failed.then((error) => {
  say(`failed ${error.message}`);
  process.exit(3);
});

const CALLS_PER_RUN = 10;

async function oneCall(run: RunId): Promise<void> {
  const call = newCall();
  const said = content === undefined ? {} : { args: { text: textAbout(call, content) } };
  const about = intent(run, call);
  const receipt = await log.append({ ...about, subject: { ...about.subject, ...said } });
  say(`${receipt.index} ${receipt.leaf}`);
  const answered = content === undefined ? {} : { result: { text: textAbout(receipt.leaf, content) } };
  const done = await log.append({ ...outcome(run, call, receipt.leaf), ...answered });
  say(`${done.index} ${done.leaf}`);
}

async function callForEver(): Promise<void> {
  for (;;) {
    await oneRun().catch((error: unknown) => {
      if (!(error instanceof SallyportError) || error.code !== 'ERR_LOG_COPY_UNAVAILABLE') throw error;
      return sleep(20);
    });
  }
}

async function oneRun(): Promise<void> {
  const run = newRun();
  await log.append(runOpen(run));
  for (let i = 0; content === undefined || i < CALLS_PER_RUN; i++) await oneCall(run);
}

function textAbout(what: string, length: number): string {
  return JSON.stringify(what.padEnd(Math.ceil(Math.random() * length), 'x'));
}

await Promise.all(Array.from({ length: Number(callers) }, callForEver));
