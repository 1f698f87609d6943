import type { RecordPlace } from './audit-erasures.ts';
import { decodeRecord } from './decode-record.ts';
import { AFTER_RECORDS, BEFORE_RECORDS, createFindingList, type TimedFinding } from './finding.ts';
import { followKeys, type KeyChain } from './key-chain.ts';
import { type KeyRotation, readRotation } from './key-rotation.ts';
import type { LogSource, StoredRecord } from './log-source.ts';
import { type Hash, leafHash } from './merkle.ts';
import { headOf, scanHeader } from './record-header.ts';
import type { VerifierKey } from './signed-note.ts';

/** The keys of a log as its records tell, before anybody has shown that these records are in it. */
export type ClaimedKeys = {
  readonly chain: KeyChain;
  readonly changes: readonly KeyRotation[];
  readonly places: readonly RecordPlace[];
  readonly found: readonly TimedFinding[];
};

/** Reads the records that change the key, up to an index, and follows them from the keys that are trusted. */
export function readKeys(
  source: LogSource,
  trusted: readonly VerifierKey[],
  upTo = Number.POSITIVE_INFINITY,
): ClaimedKeys {
  const list = createFindingList();
  list.moment = BEFORE_RECORDS;
  const changes: KeyRotation[] = [];
  const places: RecordPlace[] = [];
  for (const stored of source.keyChanges?.() ?? scan(source)) {
    const { idx, bytes } = stored;
    if (idx >= upTo) break;
    places.push({ idx, leaf: leafHash(bytes) });
    const change = changeIn(stored);
    if (change !== undefined) changes.push(change);
    else
      list.report('broken', idx, `record ${idx} changes the key of the log and is not signed by both keys`);
  }
  const chain = followKeys(trusted, changes);
  for (const { size } of chain.strangers)
    list.report('broken', size, `record ${size} changes a key that was not, or no longer, the one in force`);
  return { chain, changes, places, found: list.found };
}

/** Compares what was read with what the audit came by: a source that hides or invents a change is found out. */
export function checkKeyChanges(
  { places }: ClaimedKeys,
  seen: readonly RecordPlace[],
): readonly TimedFinding[] {
  const list = createFindingList();
  list.moment = AFTER_RECORDS;
  const claimed = new Map<number, Hash>(places.map(({ idx, leaf }) => [idx, leaf]));
  for (const { idx, leaf } of seen) {
    if (claimed.get(idx) === leaf) claimed.delete(idx);
    else list.report('broken', idx, `record ${idx} changes the key of the log, and nobody was told`);
  }
  for (const idx of claimed.keys())
    list.report('broken', idx, `record ${idx} was said to change the key of the log, and does not`);
  return list.found;
}

/** The change of keys that a record tells of, if it is one and stands where its keys have signed for. */
export function changeIn({ idx, bytes }: StoredRecord): KeyRotation | undefined {
  const decoded = decodeRecord(bytes);
  if (!decoded.ok || decoded.value.type !== 'key.rotate') return undefined;
  const { note, from, to } = decoded.value;
  const change = readRotation(note);
  return change?.size === idx && change.from.text === from && change.to.text === to ? change : undefined;
}

function* scan(source: LogSource): Generator<StoredRecord> {
  for (const stored of source.records(0))
    if (scanHeader(headOf(stored.bytes))?.type === 'key.rotate') yield stored;
}
