export { type AuditReport, auditLog, composeReport } from './audit.ts';
export { type ClaimedKeys, changeIn, readKeys } from './audit-keys.ts';
export { createPairingCheck, type OpenIntent, type RequestCounts } from './audit-pairing.ts';
export { type AuditedPast, createRecordsCheck } from './audit-records.ts';
export { type AuditedHead, createStrandCheck } from './audit-strands.ts';
export {
  type AuditOptions,
  createTreeCheck,
  type DueCheckpoints,
  readDueCheckpoints,
  type TreeChecked,
  type WitnessedHead,
} from './audit-tree.ts';
export {
  type CallReceipt,
  formatReceipt,
  type Held,
  parseReceipt,
  RECEIPT_META,
  type ReceiptDefect,
  verifyHeld,
} from './call-receipt.ts';
export type {
  Actor,
  BridgeEntry,
  Commitment,
  DecisionEntry,
  Destination,
  EarlyRefusal,
  IntentRecord,
  NewDecision,
  OutcomeRecord,
  OutcomeStatus,
  RefusalRecord,
  RoundInput,
  Spoken,
  SpokenAsk,
  Subject,
} from './call-records.ts';
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
  parseCheckpoint,
  parseVerifierKey,
  verifyCheckpoint,
} from './checkpoint.ts';
export {
  type ContentKey,
  commit,
  commitKey,
  contentKey,
  createDataKey,
  type DataKey,
  openDataKey,
  openSealed,
  type Part,
  type Redacted,
  type Redaction,
  redactSecrets,
  runKey,
  sealPart,
} from './content/index.ts';
export { type Cosigner, cosignedAt, createCosigner, parseWitnessKey } from './cosignature.ts';
export { decodeRecord, type RecordDefect } from './decode-record.ts';
export {
  type EncodedBody,
  encodeBody,
  GATEWAY_STRAND,
  MAX_RECORD_BYTES,
  sealRecord,
} from './encode-record.ts';
export { decodeEntryBundle, encodeEntryBundle } from './entry-bundle.ts';
export { createFindingList, type Finding } from './finding.ts';
export type { IntentLog, LogHealth, Receipt } from './intent-log.ts';
export { followKeys, type KeyChain } from './key-chain.ts';
export { formatRotation, type KeyRotation, type RotationStatement, readRotation } from './key-rotation.ts';
export type { Found, ListedRun, LogQueries } from './log-queries.ts';
export type {
  BootRecord,
  EpochRecord,
  ErasureRecord,
  GapRecord,
  PolicyLoadRecord,
  RecoveryRecord,
  ToolPinRecord,
} from './log-records.ts';
export type { LogSource, StoredCheckpoint, StoredRecord } from './log-source.ts';
export { mergeLogs, type OfLog } from './merge-logs.ts';
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
export type {
  Alarm,
  AlarmKind,
  Batch,
  MirroredRecord,
  MirrorStore,
  PastAsked,
  Position,
} from './mirror-store.ts';
export { createOpenRuns, type OpenRuns } from './open-runs.ts';
export type { PublishedLog, TileLevel } from './published-log.ts';
export {
  type Descending,
  type Filter,
  fits,
  indexedTermsOf,
  intersect,
  isIndexed,
  parseFilter,
  termsOf,
  unite,
} from './query/index.ts';
export { type LedgerEntry, parseLedgerEntry, type Reconciliation, reconcile } from './reconcile.ts';
export {
  type LogRecord,
  type NewRecord,
  READABLE_VERSIONS,
  RECORD_VERSION,
  type RecordBody,
  type RecordEnvelope,
} from './record.ts';
export { type Field, type FieldKind, RECORD_FIELDS } from './record-fields.ts';
export { HEAD_BYTES, headOf, type RecordHeader, scanHeader } from './record-header.ts';
export type { AgentChangeRecord, RunCloseRecord, RunOpenRecord } from './run-records.ts';
export { isKeyName, parseNote, parseSignatures, type VerifierKey } from './signed-note.ts';
export {
  growTiles,
  hashesOfTiles,
  parseTilePath,
  type ReadTile,
  TILE_WIDTH,
  type Tile,
  tilePath,
} from './tiles.ts';
export { parseTlogPolicy, type TlogPolicy, type Witness } from './tlog-policy.ts';
export {
  formatTlogProof,
  type ProofDefect,
  parseTlogProof,
  type TlogProof,
  verifyTlogProof,
} from './tlog-proof.ts';
export { consistencyPath, inclusionPath, rangeHash, type SubtreeHashes } from './tree-proofs.ts';
export {
  type AddCheckpoint,
  formatAddCheckpoint,
  judgeCheckpoint,
  parseAddCheckpoint,
  type WitnessRefusal,
} from './witness.ts';
