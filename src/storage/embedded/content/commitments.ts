import type { CallId, Clock, RunId } from '../../../base/index.ts';
import {
  type Commitment,
  commit,
  commitKey,
  createDataKey,
  type DataKey,
  type NewRecord,
  openDataKey,
  type Part,
  redactSecrets,
  runKey,
  type Spoken,
} from '../../../intent-log/index.ts';
import type { NewKey, OpenedContent, Said } from '../worker-messages.ts';
import { commitRest } from './commit-rest.ts';

/** What of arguments and results is kept beside the records. */
export type KeepContent = 'none' | 'redacted' | 'encrypted';

export type ContentOptions = {
  readonly keep: KeepContent;
  /** Longest text that is kept, in UTF-8 bytes. */
  readonly maxBytes: number;
};

/** A record with commitments in place of what is said, and what of that is to be kept with it. */
export type Settled = { readonly committed: NewRecord; readonly said?: Said };

const HOUR = 3_600_000;
/** No run lives longer than a day; a run of the day before may still have something under way. */
const LIVE_MILLIS = 48 * HOUR;
/** How long a closed run's key stays in memory for what was under way at its end. */
const LINGER_MILLIS = 600_000;
/** Closed runs of which it is remembered that their key was forgotten. */
const MAX_OVER = 100_000;
const MAX_REDACTIONS = 64;

/** Commits to what records say, under the data keys of their runs. */
export class Commitments {
  readonly #options: ContentOptions;
  readonly #now: Clock;
  readonly #keys = new Map<RunId, DataKey>();
  readonly #erased: Set<RunId>;
  /** Not on their way to the disk yet. */
  #fresh: NewKey[] = [];
  readonly #closing: { readonly run: RunId; readonly at: number }[] = [];
  /** Long over: a late word of such a run is in the log without a commitment. */
  readonly #over = new Set<RunId>();

  constructor({ keys, erased }: OpenedContent, options: ContentOptions, now: Clock) {
    for (const { run, key } of keys) this.#keys.set(run, openDataKey(key));
    this.#erased = new Set(erased);
    this.#options = options;
    this.#now = now;
  }

  /** Takes out of a record what it says. */
  settle(record: NewRecord): Settled {
    switch (record.type) {
      case 'run.open':
        this.#begin(record.run);
        return { committed: record };
      case 'run.close':
        this.#closing.push({ run: record.run, at: this.#now() });
        return { committed: record };
      case 'intent':
      case 'refusal':
        return this.#settleRest(this.#settleArgs(record), record.run);
      case 'outcome':
        return this.#settleResult(record);
      default:
        return { committed: record };
    }
  }

  /** Forgets the keys of runs whose content is to be destroyed. */
  erase(runs: readonly RunId[]): void {
    for (const run of runs) {
      this.#erased.add(run);
      this.#keys.delete(run);
    }
  }

  /** Data keys made since the last look: they go with the next batch, whatever becomes of the record they began with. */
  takeKeys(): readonly NewKey[] {
    const fresh = this.#fresh;
    this.#fresh = [];
    return fresh;
  }

  /** Runs that have been over for a while; their keys are forgotten, not destroyed. */
  forget(): RunId[] {
    const due = this.#now() - LINGER_MILLIS;
    const count = this.#closing.findIndex(({ at }) => at > due);
    const over = this.#closing.splice(0, count < 0 ? this.#closing.length : count).map(({ run }) => run);
    for (const run of over) {
      this.#keys.delete(run);
      this.#over.add(run);
    }
    for (const run of this.#over) {
      if (this.#over.size <= MAX_OVER) break;
      this.#over.delete(run);
    }
    return over;
  }

  #settleArgs(record: NewRecord & { type: 'intent' | 'refusal' }): Settled {
    const { subject, run, call } = record;
    if (subject?.args === undefined || !isSpoken(subject.args)) return { committed: record };
    const { args, ...rest } = subject;
    const done = run === undefined ? undefined : this.#commit(run, call, 'args', args.text);
    if (done === undefined) return { committed: { ...record, subject: rest } };
    return withSaid({ ...record, subject: { ...rest, args: done.commitment } }, done.said);
  }

  /** After the arguments: the run has its data key by then. */
  #settleRest(settled: Settled, run: RunId | undefined): Settled {
    const { committed } = settled;
    if (committed.type !== 'intent' && committed.type !== 'refusal') return settled;
    const key = run === undefined ? undefined : this.#keys.get(run);
    const underKey = (about: 'call' | 'value', text: string): string | undefined =>
      key === undefined ? undefined : commit(runKey(key, about), text);
    return { ...settled, committed: commitRest(committed, underKey) };
  }

  #settleResult(record: NewRecord & { type: 'outcome' }): Settled {
    const { result, ...rest } = record;
    if (result === undefined || !isSpoken(result)) return { committed: record };
    const done = this.#commit(record.run, record.call, 'result', result.text);
    if (done === undefined) return { committed: rest };
    return withSaid({ ...rest, result: done.commitment }, done.said);
  }

  /** Makes the data key of a run that has none yet. */
  #begin(run: RunId): void {
    if (this.#keys.has(run) || this.#erased.has(run) || this.#over.has(run)) return;
    const key = createDataKey();
    this.#keys.set(run, openDataKey(key));
    this.#fresh.push({ run, key });
  }

  /** Undefined when nothing may be said of the run any more. */
  #commit(
    run: RunId,
    call: CallId,
    part: Part,
    text: string,
  ): { readonly commitment: Commitment; readonly said?: Said } | undefined {
    this.#begin(run);
    const key = this.#keys.get(run);
    if (key === undefined) return undefined;
    const underKey = commitKey(key, call, part);
    const full: Commitment = { mac: commit(underKey, text), bytes: Buffer.byteLength(text) };
    const { keep, maxBytes } = this.#options;
    if (keep === 'none') return { commitment: full };
    if (full.bytes > maxBytes) return { commitment: { ...full, kept: 'too-large' } };
    if (keep === 'encrypted') {
      return { commitment: { ...full, kept: 'encrypted' }, said: { call, part, text } };
    }
    const { text: rest, ...redacted } = redact(text);
    return {
      commitment: { ...full, kept: 'redacted', keptMac: commit(underKey, rest), ...redacted },
      said: { call, part, text: rest },
    };
  }
}

function withSaid(committed: NewRecord, said: Said | undefined): Settled {
  return said === undefined ? { committed } : { committed, said };
}

function isSpoken(said: Commitment | Spoken): said is Spoken {
  return 'text' in said;
}

function redact(text: string): { readonly text: string; readonly redactions?: readonly string[] } {
  const { text: rest, redactions } = redactSecrets(JSON.parse(text));
  if (redactions.length === 0) return { text: rest };
  const named = redactions
    .slice(0, MAX_REDACTIONS)
    .map(({ rule, text: number, at, length }) => `${rule}@${number}:${at}+${length}`);
  return { text: rest, redactions: named };
}

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/** The first characters of every run id made at a time, in milliseconds. */
function ulidTime(milliseconds: number): string {
  let time = '';
  for (let rest = Math.max(0, milliseconds), i = 0; i < 10; i++, rest = Math.floor(rest / 32)) {
    time = ALPHABET.charAt(rest % 32) + time;
  }
  return time;
}

/** Runs with an id before this one are over at a time, in milliseconds. */
export function liveSince(now: number): string {
  return ulidTime(now - LIVE_MILLIS);
}
