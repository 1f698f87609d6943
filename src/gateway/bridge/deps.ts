import type { IdSource } from '../../base/index.ts';
import type { CallDeps } from '../call/index.ts';
import type { Eras } from './eras.ts';
import type { BridgeState } from './state.ts';

/** What the bridge needs: the way of a call, and a memory. */
export type BridgeDeps = {
  readonly call: CallDeps;
  readonly ids: IdSource;
  readonly eras: Eras;
  readonly state: BridgeState;
  /** How long a client may take to answer a server's question, in milliseconds; five minutes unless said otherwise. */
  readonly roundMs?: number;
};

export const ROUND_MS = 300_000;
