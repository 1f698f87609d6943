import type { IdSource } from '../../base/index.ts';
import type { CallDeps, CallResult } from '../call/index.ts';
import type { AggregateSessions } from './sessions.ts';

/** What the aggregate endpoint needs: the way of a call, and sessions of its own. */
export type AggregateDeps = {
  readonly call: CallDeps;
  readonly sessions: AggregateSessions;
  readonly ids: IdSource;
  readonly version: string;
};

/** An answer of the gateway itself: it is recorded, and `text` is the whole JSON-RPC response. */
export type OwnAnswer = {
  readonly kind: 'own';
  readonly status: number;
  readonly text?: string;
  readonly session?: string;
};

export type AggregateResult = CallResult | OwnAnswer;
