import { SallyportError } from '../../base/index.ts';
import {
  decodeRecord,
  type Hash,
  type LogRecord,
  leafHash,
  type RecordDefect,
  type StoredRecord,
} from '../../intent-log/index.ts';
import type { StrandHead } from './index-delta.ts';

/** Where the heads of strands are known up to the record in question. */
export type StrandHeads = { head(strand: string): StrandHead | undefined };

/**
 * Reads a stored record that must have the index `expected` and follow the head of its strand.
 * Throws `ERR_LOG_CORRUPT` naming the record.
 */
export function readVerified(
  { idx, bytes }: StoredRecord,
  heads: StrandHeads,
  expected: number,
): { readonly leaf: Hash; readonly record: LogRecord } {
  if (idx !== expected) throw corrupt(`record ${expected} is missing`);
  const decoded = decodeRecord(bytes);
  if (!decoded.ok) throw corrupt(`record ${idx} ${describe(decoded.error)}`);
  const record = decoded.value;
  if (record.idx !== idx) throw corrupt(`record ${idx} says it is record ${record.idx}`);
  const head = heads.head(record.strand);
  if (record.seq !== (head === undefined ? 0 : head.seq + 1) || record.prev !== (head?.leaf ?? '')) {
    throw corrupt(`record ${idx} does not follow the record before it in strand ${record.strand}`);
  }
  return { leaf: leafHash(bytes), record };
}

/** An error that says the log is not what was written and how to go on. */
export function corrupt(what: string): SallyportError {
  return new SallyportError(
    'ERR_LOG_CORRUPT',
    `${what}; run "sallyport log verify" and keep this data folder as evidence, then start with a new one`,
  );
}

function describe(defect: RecordDefect): string {
  switch (defect.reason) {
    case 'not_json':
      return 'is not JSON';
    case 'unknown_version':
      return 'has a format version that this version of sallyport does not know';
    case 'unknown_type':
      return 'has a type that this version of sallyport does not know';
    case 'bad_field':
      return `has a bad field "${defect.field}"`;
  }
}
