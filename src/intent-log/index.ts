export { type AuditReport, auditLog } from './audit.ts';
export type { OpenIntent, RequestCounts } from './audit-pairing.ts';
export type { AuditOptions } from './audit-tree.ts';
export {
  buildCausalTree,
  type CausalCall,
  type CausalOutcome,
  type CausalRun,
  type CausalTree,
} from './causal-tree.ts';
export {
  type Checkpoint,
  type CheckpointDefect,
  type CheckpointSigner,
  createCheckpointSigner,
  isOrigin,
  parseVerifierKey,
  type VerifierKey,
  verifyCheckpoint,
} from './checkpoint.ts';
export { decodeRecord, type RecordDefect } from './decode-record.ts';
export {
  type EncodedBody,
  encodeBody,
  GATEWAY_STRAND,
  MAX_RECORD_BYTES,
  sealRecord,
} from './encode-record.ts';
export type { Finding } from './finding.ts';
export type { IntentLog, Receipt } from './intent-log.ts';
export type { LogSource, StoredCheckpoint, StoredRecord } from './log-source.ts';
export {
  appendLeaf,
  type CompactRange,
  consistencyProof,
  EMPTY_ROOT,
  type Hash,
  inclusionProof,
  leafHash,
  nodeHash,
  restoreRange,
  rootOf,
  type TreeHead,
  treeHash,
  verifyConsistency,
  verifyInclusion,
} from './merkle.ts';
export {
  type Actor,
  type AgentChangeRecord,
  type BootRecord,
  type Commitment,
  type DecisionEntry,
  type EarlyRefusal,
  type IntentRecord,
  type LogRecord,
  type OutcomeRecord,
  type OutcomeStatus,
  type PolicyLoadRecord,
  RECORD_VERSION,
  type RecordBody,
  type RecordEnvelope,
  type RecoveryRecord,
  type RefusalRecord,
  type RunCloseRecord,
  type RunOpenRecord,
  type Subject,
  type ToolPinRecord,
} from './record.ts';
export { type Field, type FieldKind, RECORD_FIELDS } from './record-fields.ts';
