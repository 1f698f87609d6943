import { err, ok, type Result } from '../base/index.ts';
import {
  type AuditedHead,
  type AuditedPast,
  appendLeaf,
  type CompactRange,
  changeIn,
  createRecordsCheck,
  decodeRecord,
  headOf,
  type KeyRotation,
  type LogRecord,
  leafHash,
  type MirroredRecord,
  type PastAsked,
  type RecordHeader,
  rootOf,
  scanHeader,
} from '../intent-log/index.ts';

/** Fetched records with their places in the tree: hashed, and nothing else is known of them yet. */
export type Hashed = {
  readonly entries: readonly { readonly bytes: Uint8Array; readonly leaf: string; readonly head: string }[];
  readonly range: CompactRange;
  /** The records that change the key; without a `change` when it is not signed by both keys for this place. */
  readonly keyChanges: readonly { readonly idx: number; readonly change: KeyRotation | undefined }[];
};

/** Hashes records and grows a copy of the tree by them. */
export function hashRecords(before: CompactRange, records: readonly Uint8Array[]): Hashed {
  const range: CompactRange = { size: before.size, hashes: [...before.hashes] };
  const keyChanges: Hashed['keyChanges'][number][] = [];
  const entries = records.map((bytes) => {
    const leaf = leafHash(bytes);
    const head = headOf(bytes);
    if (scanHeader(head)?.type === 'key.rotate') {
      const idx = range.size;
      const change = changeIn({ idx, bytes });
      keyChanges.push({ idx, change: change?.root === rootOf(range) ? change : undefined });
    }
    appendLeaf(range, leaf);
    return { bytes, leaf, head };
  });
  return { entries, range, keyChanges };
}

/** What must be known of the log before them. */
export function pastAskedBy(origin: string, next: number, { entries }: Hashed): PastAsked {
  const headers = entries.flatMap(({ head }) => scanHeader(head) ?? []);
  return {
    origin,
    next,
    strands: [...new Set(headers.map(({ strand }) => strand))],
    calls: [...new Set(headers.flatMap(({ call }) => call ?? []))],
    withOpen: headers.some(({ type }) => type === 'epoch'),
  };
}

/** Follows strands and pairs intents with outcomes as the audit does. The error is its first finding. */
export function verifyRecords(
  { entries }: Hashed,
  past: AuditedPast,
): Result<{ records: readonly MirroredRecord[]; heads: ReadonlyMap<string, AuditedHead> }, string> {
  const check = createRecordsCheck(past);
  const heads = new Map<string, AuditedHead>();
  const records: MirroredRecord[] = [];
  for (const [i, { bytes, leaf, head }] of entries.entries()) {
    const idx = past.next + i;
    check.add(idx, leaf, head);
    const header = scanHeader(head);
    if (header !== undefined) moveHead(heads, past, { header, idx, leaf });
    const decoded = decodeRecord(bytes);
    if (decoded.ok && !hasTime(decoded.value)) return err(`record ${idx} has no time that can be`);
    if (decoded.ok) records.push({ bytes, leaf, record: decoded.value });
    else
      return err(check.finish().found[0]?.what ?? `record ${idx} cannot be read (${decoded.error.reason})`);
  }
  const [first] = check.finish().found;
  return first === undefined ? ok({ records, heads }) : err(first.what);
}

const YEAR_10000 = 253_402_300_800_000;

function hasTime({ at }: LogRecord): boolean {
  const time = Date.parse(at);
  return time >= 0 && time < YEAR_10000;
}

function moveHead(
  heads: Map<string, AuditedHead>,
  past: AuditedPast,
  { header, idx, leaf }: { readonly header: RecordHeader; readonly idx: number; readonly leaf: string },
): void {
  const { strand, seq, type } = header;
  const before = heads.get(strand) ?? past.head(strand);
  heads.set(strand, { idx, seq, leaf, isClosed: before?.isClosed === true || type === 'run.close' });
}
