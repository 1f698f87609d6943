import type { Report } from './finding.ts';
import type { Hash } from './merkle.ts';
import type { RecordHeader } from './record-header.ts';
import { UlidSet } from './ulid-set.ts';

/** A permitted request whose end is not in the log. */
export type OpenIntent = { readonly call: string; readonly run: string; readonly idx: number };

/** What is known of calls before the first record. */
export type PastCalls = {
  /** Open intents, as far as an outcome of theirs may come. */
  readonly open: Iterable<OpenIntent & { readonly leaf: Hash }>;
  /** Number of open intents beside these. */
  readonly openElsewhere: number;
  wasDecided(call: string): boolean;
};

const NO_CALLS: PastCalls = { open: [], openElsewhere: 0, wasDecided: () => false };

export type RequestCounts = {
  readonly intents: number;
  readonly outcomes: number;
  readonly refusals: number;
};

/**
 * Pairs intents with outcomes: exactly one for each, naming the intent by its hash; none for a refusal. A call
 * is permitted or refused, once. Memory grows by about 50 bytes a call.
 */
export type PairingCheck = {
  add(idx: number, leaf: Hash, header: RecordHeader): void;
  readonly counts: RequestCounts;
  open(): OpenIntent[];
  /** How many are open. */
  openCount(): number;
};

export function createPairingCheck(report: Report, past: PastCalls = NO_CALLS): PairingCheck {
  const open = new Map<string, OpenIntent & { leaf: Hash }>();
  for (const intent of past.open) open.set(intent.call, intent);
  const decided = new UlidSet();
  const decideAgain = (call: string): boolean => past.wasDecided(call) || !decided.add(call);
  const counts = { intents: 0, outcomes: 0, refusals: 0 };

  function addIntent(idx: number, leaf: Hash, call: string, run: string): void {
    counts.intents++;
    const other = open.get(call);
    if (other !== undefined) {
      report('broken', idx, `record ${idx} is a second intent of call ${call}, after record ${other.idx}`);
    } else if (decideAgain(call)) {
      report('broken', idx, `record ${idx} permits call ${call}, which was decided before`);
    }
    open.set(call, { call, run, idx, leaf });
  }

  function addOutcome(idx: number, call: string, { run, intent }: RecordHeader): void {
    counts.outcomes++;
    const opened = open.get(call);
    if (opened === undefined) {
      report('broken', idx, `record ${idx} is an outcome of call ${call}, which has no open intent`);
    } else if (opened.leaf !== intent || opened.run !== run) {
      report('broken', idx, `record ${idx} is an outcome for another intent than record ${opened.idx}`);
    }
    open.delete(call);
  }

  function addRefusal(idx: number, call: string): void {
    counts.refusals++;
    const opened = open.get(call);
    if (opened !== undefined) {
      report('broken', idx, `record ${idx} refuses call ${call}, which record ${opened.idx} permitted`);
    } else if (decideAgain(call)) {
      report('broken', idx, `record ${idx} refuses call ${call}, which was decided before`);
    }
  }

  return {
    counts,
    add(idx, leaf, header) {
      const { type, call, run } = header;
      if (type !== 'intent' && type !== 'outcome' && type !== 'refusal') return;
      if (call === undefined || (run === undefined && type !== 'refusal')) {
        report('broken', idx, `record ${idx} (${type}) does not name its call and run`);
      } else if (type === 'intent') {
        addIntent(idx, leaf, call, run ?? '');
      } else if (type === 'outcome') {
        addOutcome(idx, call, header);
      } else {
        addRefusal(idx, call);
      }
    },
    openCount: () => past.openElsewhere + open.size,
    open: () => [...open.values()].map(({ call, run, idx }) => ({ call, run, idx })),
  };
}
