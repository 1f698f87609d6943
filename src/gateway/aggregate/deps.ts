import type { CallId, IdSource } from '../../base/index.ts';
import type { CallDeps, CallResult, KnownRequest } from '../call/index.ts';
import type { Relayed } from '../mcp/index.ts';
import type { AggregateSessions } from './sessions.ts';

/** What the aggregate endpoint needs: the way of a call, and sessions of its own. */
export type AggregateDeps = {
  readonly call: CallDeps;
  /** The way of a call, to an upstream of either era. */
  readonly carryOut: (request: KnownRequest) => Promise<CallResult>;
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

/** A stream of the gateway's own: each message of it has come on the way of a call. */
export type OwnStream = {
  readonly kind: 'stream';
  readonly call: CallId;
  readonly relayed: Relayed;
  /** Aborted when the run ends or the agent goes away. */
  readonly signal: AbortSignal;
};

export type AggregateResult = CallResult | OwnAnswer | OwnStream;
