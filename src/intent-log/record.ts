import type {
  Commitment,
  IntentRecord,
  NewDecision,
  OutcomeRecord,
  RefusalRecord,
  Spoken,
  TaintRecord,
} from './call-records.ts';
import type {
  BootRecord,
  EpochRecord,
  ErasureRecord,
  GapRecord,
  KeyChangeRecord,
  KeyRotateRecord,
  LogOpenRecord,
  PolicyLoadRecord,
  RecoveryRecord,
  ToolPinRecord,
} from './log-records.ts';
import type {
  AgentChangeRecord,
  CredentialIssuedRecord,
  CredentialRevokedRecord,
  KillSwitchRecord,
  RunCloseRecord,
  RunOpenRecord,
  RunRenewRecord,
  TokenRefusalRecord,
} from './run-records.ts';

/** Version of the record format that is written (docs/log-format.md). */
export const RECORD_VERSION = 2;

/** Versions that can be read. A reader refuses one it does not know. */
export const READABLE_VERSIONS: readonly number[] = [1, RECORD_VERSION];

export type RecordBody =
  | BootRecord
  | RunOpenRecord
  | RunCloseRecord
  | KillSwitchRecord
  | RunRenewRecord
  | TokenRefusalRecord
  | AgentChangeRecord
  | IntentRecord
  | OutcomeRecord
  | TaintRecord
  | CredentialIssuedRecord
  | CredentialRevokedRecord
  | KeyChangeRecord
  | KeyRotateRecord
  | LogOpenRecord
  | RefusalRecord
  | PolicyLoadRecord
  | ToolPinRecord
  | RecoveryRecord
  | EpochRecord
  | GapRecord
  | ErasureRecord;

/** A record as it is given to the log: what was said in it is committed to on the way. */
export type NewRecord =
  | RecordBody
  | IntentRecord<Commitment | Spoken>
  | OutcomeRecord<Commitment | Spoken>
  | (RefusalRecord<Commitment | Spoken> & { readonly decision?: NewDecision });

/**
 * The fields the log adds. `prev` is the leaf hash of the record before it in the same strand: a run's records
 * form one strand, all others the strand `gateway`. `seq` counts the strand from 0 without a gap.
 */
export type RecordEnvelope = {
  readonly v: number;
  readonly idx: number;
  /** RFC 3339 with milliseconds, UTC. For people: order is `idx`. */
  readonly at: string;
  readonly strand: string;
  readonly seq: number;
  /** Empty string for the first of a strand. */
  readonly prev: string;
};

export type LogRecord = RecordEnvelope & RecordBody;
