import { readFileSync } from 'node:fs';
import { type CallId, SallyportError } from '../../base/index.ts';
import { createKeySealer } from '../../identity/index.ts';
import {
  appendLeaf,
  type Checkpoint,
  type CompactRange,
  changeIn,
  decodeRecord,
  encodeBody,
  leafHash,
  type OutcomeRecord,
  type RecordBody,
  restoreRange,
  rootOf,
} from '../../intent-log/index.ts';
import type { DataFolder } from './data-folder.ts';
import { type OpenIntentRow, readOpenIntents } from './index-queries.ts';
import { LogFile } from './log-file.ts';
import { LogIndex } from './log-index.ts';
import { type LogKeys, openLogKeys, type RecordedChange } from './log-key.ts';
import { LogWriter, type WriterState } from './log-writer.ts';
import { corrupt, readVerified } from './read-verified.ts';
import type { WorkerSettings } from './worker-messages.ts';

/** Records read at a time while catching up. */
const STRETCH = 1024;
/** Records after which a new index is written; larger would only cost memory. */
const FLUSH_EVERY = 32 * STRETCH;
/** Calls named by one recovery record, so that it stays below the longest record. */
const CALLS_PER_RECOVERY = 1000;

/** A writer that may append, the public key it signs with, and the calls it found cut short. */
export type OpenedWriter = {
  readonly writer: LogWriter;
  readonly verifierKey: string;
  readonly recovered: readonly CallId[];
};

export type OpenWriterOptions = Pick<WorkerSettings, 'now' | 'epochEveryMs' | 'sealingKey'> & {
  /** Aligned with the folder. */
  readonly copy?: WriterState['copy'];
};

/**
 * Opens the log of a folder that the caller has locked: checks the newest checkpoint, verifies the records
 * after it (all records when the index is new), brings the index up to date, and gives every intent that a
 * crash left open the outcome `unknown`.
 *
 * Throws `ERR_LOG_CORRUPT` when the file does not hold what was signed.
 */
export function openLogWriter(
  folder: DataFolder,
  origin: string,
  { now, epochEveryMs, sealingKey, copy }: OpenWriterOptions,
): OpenedWriter {
  const sealer = sealingKey === undefined ? undefined : createKeySealer(sealingKey);
  const file = new LogFile(folder.log);
  const index = openBeside(file, folder);
  try {
    const keys = openLogKeys(folder, { origin, sealer }, recordedChanges(file));
    const signed = newestCheckpoint(file, folder, keys);
    checkIndex(index, file, signed?.size ?? 0);
    const range = catchUp(file, index, signed);
    const signedSize = signed?.size ?? -1;
    const writer = new LogWriter({ folder, file, index, keys, range, signedSize, copy });
    const recovered = recover(writer, index, now);
    writer.beginEpochs(epochEveryMs);
    return { writer, verifierKey: keys.verifierKey, recovered };
  } catch (error) {
    index[Symbol.dispose]();
    file[Symbol.dispose]();
    throw error;
  }
}

function openBeside(file: LogFile, folder: DataFolder): LogIndex {
  try {
    return new LogIndex(folder.index);
  } catch (error) {
    file[Symbol.dispose]();
    throw error;
  }
}

/** The changes of keys that the log tells of, each signed by both keys. */
function recordedChanges(file: LogFile): RecordedChange[] {
  return file.keyChanges().map((stored) => {
    const decoded = decodeRecord(stored.bytes);
    const change = changeIn(stored);
    if (change === undefined || !decoded.ok || decoded.value.type !== 'key.rotate')
      throw corrupt(`record ${stored.idx} changes the key of the log and is not signed by both keys`);
    return { change, note: decoded.value.note, until: decoded.value.until };
  });
}

/** The newest checkpoint, which both the log and the published copy must bear out. */
function newestCheckpoint(file: LogFile, folder: DataFolder, { chain }: LogKeys): Checkpoint | undefined {
  const stored = file.newestCheckpoint();
  const checked = stored === undefined ? undefined : chain.verify(stored.note);
  if (checked?.ok === false || (checked?.ok && checked.value.size !== stored?.size)) {
    throw corrupt(`the checkpoint of size ${stored?.size} in ${folder.log} is not signed by this log`);
  }
  const newest = checked?.value;
  const published = chain.verify(readIfThere(folder.checkpoint));
  const signedSize = Math.max(newest?.size ?? 0, published.ok ? published.value.size : 0);
  const end = file.end();
  if (signedSize > end) {
    throw corrupt(
      `records ${end} to ${signedSize - 1} are missing: a checkpoint of size ${signedSize} was signed`,
    );
  }
  return newest;
}

/** Starts the index over when it cannot have come from this log. */
function checkIndex(index: LogIndex, file: LogFile, signedSize: number): void {
  if (index.next === 0) return;
  const last = file.readOne(index.next - 1);
  if (index.next > signedSize || last === undefined || leafHash(last) !== index.leaf) index.reset();
}

/** Verifies and takes in what the index has not seen; gives the tree over all records. */
function catchUp(file: LogFile, index: LogIndex, signed: Checkpoint | undefined): CompactRange {
  const range = index.next === 0 ? { size: 0, hashes: [] } : storedRange(file, signed);
  const compare = (): void => {
    if (range.size === signed?.size && rootOf(range) !== signed.root) {
      throw corrupt(`records 0 to ${range.size - 1} do not add up to the checkpoint of size ${range.size}`);
    }
  };
  compare();
  for (let flushed = index.next; ; ) {
    const stretch = file.read(index.next, STRETCH);
    if (stretch.length === 0) break;
    for (const stored of stretch) {
      const { leaf, record } = readVerified(stored, index, index.next);
      index.add(record, leaf);
      if (stored.idx !== range.size) continue; // in the tree already: signed for, and only new to the index
      appendLeaf(range, leaf);
      compare();
    }
    if (index.next - flushed < FLUSH_EVERY || index.next > (signed?.size ?? 0)) continue;
    index.flush();
    flushed = index.next;
  }
  if (index.next === signed?.size) index.flush();
  return range;
}

function storedRange(file: LogFile, signed: Checkpoint | undefined): CompactRange {
  const stored = file.frontier();
  const range = stored && restoreRange(stored.size, stored.hashes);
  if (range === undefined || range.size !== signed?.size) {
    throw corrupt(`the tree stored with the checkpoint of size ${signed?.size} does not fit it`);
  }
  return range;
}

/** Closes what a crash left open, before anything else can be appended, and signs for it. */
function recover(writer: LogWriter, index: LogIndex, now: number): CallId[] {
  writer.checkpoint(now);
  const open = readOpenIntents(index.db);
  if (open.length > 0) {
    const records: RecordBody[] = open.map(unknownOutcome);
    const calls = open.map(({ call }) => call);
    for (let i = 0; i < calls.length; i += CALLS_PER_RECOVERY) {
      records.push({ type: 'recovery', unknown: calls.slice(i, i + CALLS_PER_RECOVERY) });
    }
    const encoded = records.map(encodeBody);
    writer.append(
      now,
      encoded.map(({ strand }) => strand),
      encoded.map(({ json }) => json),
    );
    writer.checkpoint(now);
  }
  return open.map(({ call }) => call);
}

function unknownOutcome({ call, run, leaf }: OpenIntentRow): OutcomeRecord {
  const detail = 'the gateway stopped before it could record what became of the call';
  return { type: 'outcome', call, run, intent: leaf, status: 'unknown', micros: 0, detail };
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw new SallyportError('ERR_DATA_FOLDER', `${path} cannot be read; make it readable for the gateway`, {
      cause: error,
    });
  }
}
