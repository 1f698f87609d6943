import type { CallId, JsonObject, RunId } from '../base/index.ts';
import type {
  Commitment,
  DecisionEntry,
  IntentRecord,
  OutcomeRecord,
  OutcomeStatus,
  RefusalRecord,
  Subject,
} from './call-records.ts';
import type { LogRecord } from './record.ts';
import type { RunCloseRecord, RunOpenRecord } from './run-records.ts';

/** One request of a run: what it asked, why it was answered so, what became of it. */
export type CausalCall = {
  readonly kind: 'call';
  /** The log it is in, where there are several. */
  readonly origin?: string;
  readonly idx: number;
  readonly at: string;
  readonly call: CallId;
  readonly subject?: Subject;
  /** `refused`: before policy had its say; `reason` then tells why. */
  readonly effect: 'permit' | 'forbid' | 'ask' | 'refused';
  readonly policies: readonly string[];
  readonly code?: string;
  readonly reason?: string;
  readonly detail?: string;
  /** Taint labels that the answer put on the delegation tree. */
  readonly labels?: readonly string[];
  /** Where key arguments and content come from, by path. */
  readonly provenance?: JsonObject;
  /** The earlier call that this one carries on. */
  readonly continues?: CallId;
  /** Missing while the call is under way; a refusal has none. */
  readonly outcome?: CausalOutcome;
  /** For a refusal: microseconds until it was given. */
  readonly micros?: number;
};

export type CausalOutcome = {
  readonly idx: number;
  readonly status: OutcomeStatus;
  /** Id of the credential minted for this call. */
  readonly credential?: string;
  readonly result?: Commitment;
  readonly micros: number;
  readonly detail?: string;
};

/** One run with what it did, in order; runs it delegated to stand where they began. */
export type CausalRun = {
  readonly kind: 'run';
  /** The log it began in, where there are several. */
  readonly origin?: string;
  readonly idx: number;
  readonly at: string;
  readonly opened: RunOpenRecord;
  readonly closed?: { readonly at: string } & Pick<RunCloseRecord, 'state' | 'by' | 'reason'>;
  readonly steps: readonly (CausalCall | CausalRun)[];
};

/** A delegation tree rebuilt from the log. */
export type CausalTree = { readonly asked: RunId; readonly root: CausalRun };

type Draft<T> = { -readonly [K in keyof T]: T[K] };
type DraftRun = Draft<CausalRun> & { steps: (CausalCall | CausalRun)[] };

/** The log that a record is in; undefined where there is only one. */
export type OriginOf = (record: LogRecord) => string | undefined;

/** What was read so far. Calls by log and id: an outcome is about an intent of the same log. */
type Reading = {
  readonly runs: Map<RunId, DraftRun>;
  readonly parents: Map<DraftRun, DraftRun>;
  readonly calls: Map<string, Draft<CausalCall>>;
};

/**
 * Rebuilds the delegation tree that a run belongs to from records alone, in log order; records of other trees
 * may be among them, and of several logs, when each run begins before all else of it. Undefined when the start of the
 * run is not among them.
 */
export function buildCausalTree(
  records: Iterable<LogRecord>,
  run: RunId,
  originOf: OriginOf = () => undefined,
): CausalTree | undefined {
  const reading: Reading = { runs: new Map(), parents: new Map(), calls: new Map() };
  for (const record of records) addRecord(record, originOf(record), reading);
  const asked = reading.runs.get(run);
  if (asked === undefined) return undefined;
  let root = asked;
  for (let above = reading.parents.get(root); above !== undefined; above = reading.parents.get(root))
    root = above;
  return { asked: run, root };
}

function addRecord(record: LogRecord, origin: string | undefined, { runs, parents, calls }: Reading): void {
  const place = origin === undefined ? {} : { origin };
  switch (record.type) {
    case 'run.open': {
      const { idx, at } = record;
      if (runs.has(record.run)) return;
      const draft: DraftRun = { kind: 'run', ...place, idx, at, opened: record, steps: [] };
      // Only a run that began before can be a parent: a forged record makes no circle.
      const parent = record.parent === undefined ? undefined : runs.get(record.parent);
      if (parent !== undefined) parents.set(draft, parent);
      parent?.steps.push(draft);
      runs.set(record.run, draft);
      return;
    }
    case 'run.close': {
      const { at, state, by, reason } = record;
      const draft = runs.get(record.run);
      if (draft !== undefined) draft.closed = { at, state, by, reason };
      return;
    }
    case 'intent': {
      const draft = { ...permittedCall(record), ...place };
      calls.set(callIn(origin, record.call), draft);
      runs.get(record.run)?.steps.push(draft);
      return;
    }
    case 'outcome': {
      const draft = calls.get(callIn(origin, record.call));
      if (draft !== undefined) draft.outcome = outcomeOf(record);
      return;
    }
    case 'taint': {
      const draft = calls.get(callIn(origin, record.call));
      if (draft !== undefined) draft.labels = [...new Set([...(draft.labels ?? []), ...record.labels])];
      return;
    }
    case 'refusal':
      if (record.run !== undefined) runs.get(record.run)?.steps.push({ ...refusedCall(record), ...place });
      return;
    default:
      return; // records about the gateway itself
  }
}

function callIn(origin: string | undefined, call: CallId): string {
  return origin === undefined ? call : `${call} ${origin}`;
}

function permittedCall(record: IntentRecord & { idx: number; at: string }): Draft<CausalCall> {
  const { idx, at, call, subject, decision, labels, provenance, continues } = record;
  const taint = labels === undefined ? {} : { labels };
  const flow = provenance === undefined ? {} : { provenance };
  const origin = continues === undefined ? {} : { continues };
  return { kind: 'call', idx, at, call, subject, ...explain(decision), ...taint, ...flow, ...origin };
}

function refusedCall(record: RefusalRecord & { idx: number; at: string }): CausalCall {
  const { idx, at, call, subject, decision, early, micros } = record;
  const asked = subject === undefined ? {} : { subject };
  const why =
    decision === undefined ? { effect: 'refused' as const, policies: [], ...early } : explain(decision);
  return { kind: 'call', idx, at, call, ...asked, ...why, micros };
}

function explain(decision: DecisionEntry): Omit<DecisionEntry, 'revision'> {
  const { revision: _, ...rest } = decision;
  return rest;
}

function outcomeOf(record: OutcomeRecord & { idx: number }): CausalOutcome {
  const { idx, status, credential, result, micros, detail } = record;
  return {
    idx,
    status,
    micros,
    ...(credential === undefined ? {} : { credential: credential.id }),
    ...(result === undefined ? {} : { result }),
    ...(detail === undefined ? {} : { detail }),
  };
}
