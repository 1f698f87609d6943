import type { RunId } from '../base/index.ts';
import type { OutcomeRecord } from './call-records.ts';
import type { CausalTree } from './causal-tree.ts';
import type { Filter } from './query/index.ts';
import type { LogRecord } from './record.ts';

/** A record that a query found, with its outcome when it is an intent that has one. */
export type Found = {
  readonly record: LogRecord;
  readonly outcome?: LogRecord & OutcomeRecord;
  /** The log it is in, where there are several. */
  readonly origin?: string;
};

/** A run in a list. */
export type ListedRun = {
  readonly run: RunId;
  readonly parent?: RunId;
  readonly agent: string;
  readonly owner: string;
  readonly purpose: string;
  readonly state: 'live' | 'ended' | 'revoked';
  /** RFC 3339. */
  readonly openedAt: string;
  /** Requests of any method that were forwarded, and requests refused by policy; at all gateways together. */
  readonly calls: number;
  readonly denials: number;
};

/**
 * Where people ask what happened: the log of one gateway, or a mirror of several. Answers are of one moment each;
 * nothing in them is verified.
 */
export interface LogQueries extends AsyncDisposable {
  /** The newest runs, newest first. */
  runs(limit: number): Promise<readonly ListedRun[]>;
  /** The delegation tree of a run; undefined when no log has its start. */
  tree(run: RunId): Promise<CausalTree | undefined>;
  /** Records that fit a filter, newest first; requests, unless the filter asks for another type. */
  find(filter: Filter): AsyncIterable<Found>;
  /** Records that come after it was called and fit, until the signal; in the order of each log. */
  follow(filter: Filter, signal: AbortSignal): AsyncIterable<Found>;
}
