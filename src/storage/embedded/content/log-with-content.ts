import { type RunId, SallyportError } from '../../../base/index.ts';
import type {
  Commitment,
  IntentLog,
  LogHealth,
  NewRecord,
  Receipt,
  Spoken,
} from '../../../intent-log/index.ts';
import type { EmbeddedLog } from '../intent-log-embedded.ts';
import type { Committed, EmbeddedContent } from './embedded-content.ts';
import type { DoneErasure } from './key-file.ts';

/** An intent log that commits to what records say and keeps it; both fail together. */
export interface LogWithContent extends IntentLog {
  /**
   * Destroys what is kept of runs and says so in the log. Resolves when both is durable; gives how many arguments
   * and results there were. The runs must be over.
   */
  erase(runs: readonly RunId[], by: string, reason: string): Promise<number>;
  /** The same for all runs that are over and of which nothing was kept since a time, in milliseconds. */
  prune(before: number, by: string, reason: string): Promise<{ runs: number; parts: number }>;
  /** Whether calls may go out, and if not all of them, why. */
  health(): LogHealth;
}

/** A log that says how it is and keeps count of the records that were not taken. */
export type CountingLog = IntentLog & Pick<EmbeddedLog, 'health' | 'noteDropped'>;

/** Runs named by one record, so that it stays below the longest record. */
const RUNS_PER_RECORD = 1000;

/**
 * Joins a log and its content. A record is acknowledged when both it and what it says are written; a failure of
 * either closes both, so that no call goes out of which the log could not tell. Disposes of both.
 */
export async function joinContent(log: CountingLog, content: EmbeddedContent): Promise<LogWithContent> {
  let closed: Error | undefined;
  const failed = Promise.race([log.failed, content.failed]);
  failed.then((error) => {
    closed = error;
  }, ignore);

  /** In one turn of the event loop up to the append: nothing may come between a check and its record. */
  async function append(record: NewRecord): Promise<Receipt> {
    if (closed !== undefined) throw closed;
    if (record.type !== 'outcome' && spokenIn(record) !== undefined && !content.hasRoom) {
      log.noteDropped();
      throw new SallyportError('ERR_LOG_UNAVAILABLE', 'the intent log cannot be written: content queues up');
    }
    const { committed, kept } = settle(record, content);
    const receipt = log.append(committed);
    if (kept === undefined) return receipt;
    // A rejection must close the log before anybody hears of it: a second record about the call would contradict.
    const [written] = await Promise.all([receipt, kept.catch(giveUp)]);
    return written;
  }

  function giveUp(error: unknown): never {
    closed ??= error instanceof Error ? error : new Error(String(error));
    throw closed;
  }

  async function tell(erasure: DoneErasure): Promise<void> {
    const { runs, parts, by, reason } = erasure;
    for (let i = 0; i < runs.length; i += RUNS_PER_RECORD) {
      const some = runs.slice(i, i + RUNS_PER_RECORD);
      await log.append({ type: 'erasure', runs: some, parts: i === 0 ? parts : 0, by, reason });
    }
    content.told(erasure);
  }

  for (const erasure of content.untold) await tell(erasure);

  async function erase(runs: readonly RunId[], by: string, reason: string): Promise<number> {
    const done = await content.erase(runs, by, reason);
    await tell(done);
    return done.parts;
  }

  return {
    failed,
    append,
    health: () => (closed === undefined ? log.health() : { state: 'closed', reason: closed.message }),
    erase,
    async prune(before, by, reason) {
      const runs = await content.idleSince(before);
      return { runs: runs.length, parts: runs.length === 0 ? 0 : await erase(runs, by, reason) };
    },
    async [Symbol.asyncDispose]() {
      await log[Symbol.asyncDispose]();
      await content[Symbol.asyncDispose]();
    },
  };
}

function spokenIn(record: NewRecord): Spoken | undefined {
  const said =
    record.type === 'outcome' ? record.result : 'subject' in record ? record.subject?.args : undefined;
  return said !== undefined && 'text' in said ? said : undefined;
}

/** The record with commitments in place of what is said, and the promise that it is kept. */
function settle(record: NewRecord, content: EmbeddedContent): { committed: NewRecord; kept?: Promise<void> } {
  if (record.type === 'run.open') return { committed: record, kept: content.begin(record.run) };
  if (record.type === 'run.close') content.end(record.run);
  const spoken = spokenIn(record);
  if (spoken === undefined) return { committed: record };
  if (record.type === 'outcome') {
    const done = content.commit(record.run, record.call, 'result', spoken.text);
    const { result: _, ...rest } = record;
    return withKept({ ...rest, ...said('result', done) }, done);
  }
  if (record.type !== 'intent' && record.type !== 'refusal') return { committed: record };
  const done =
    record.run === undefined ? undefined : content.commit(record.run, record.call, 'args', spoken.text);
  const { args: _, ...subject } = record.subject ?? { upstream: '', method: '' };
  return withKept({ ...record, subject: { ...subject, ...said('args', done) } }, done);
}

function withKept(committed: NewRecord, done: Committed): { committed: NewRecord; kept?: Promise<void> } {
  return done === undefined ? { committed } : { committed, kept: done.kept };
}

function said<K extends 'args' | 'result'>(key: K, done: Committed): { readonly [P in K]?: Commitment } {
  return (done === undefined ? {} : { [key]: done.commitment }) as { readonly [P in K]?: Commitment };
}

const ignore = (): void => {};
