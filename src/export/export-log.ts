import { SallyportError } from '../base/index.ts';
import { decodeRecord, type LogRecord, type LogSource, leafHash } from '../intent-log/index.ts';
import type { Cursor } from './cursor.ts';
import type { ExportedRecord, Format } from './format.ts';
import type { Receiver } from './receivers.ts';

export type ExportDeps = {
  readonly format: Format;
  readonly receiver: Receiver;
  /** Remembers how far the export has come; durable when it returns. */
  readonly keep: (cursor: Cursor) => void;
  /** Told of each failed delivery and the pause in milliseconds before the next try. */
  readonly complain: (error: unknown, pause: number) => void;
  /** Resolves after so many milliseconds; at once when the signal is aborted. */
  readonly sleep: (millis: number, signal: AbortSignal) => Promise<void>;
};

const BATCH = 500;
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 60_000;

/**
 * Sends every record from a cursor on, in log order, and gives the cursor after the last. A receiver that is
 * slow or gone is asked again and again with growing pauses until the signal is aborted: it loses nothing,
 * because the log keeps everything.
 */
export async function exportRecords(
  source: LogSource,
  from: Cursor,
  signal: AbortSignal,
  deps: ExportDeps,
): Promise<Cursor> {
  let cursor = from;
  for (const batch of batches(source, from)) {
    const text = deps.format.encode(batch);
    const length = text === undefined ? cursor.length : await deliver(text, signal, deps);
    if (length === undefined) return cursor;
    const last = batch.at(-1) as ExportedRecord;
    cursor = { next: last.record.idx + 1, leaf: last.leaf, length, ...deps.format.memory() };
    deps.keep(cursor);
    if (signal.aborted) return cursor;
  }
  return cursor;
}

/** The records that a cursor calls open, to be taken in again. Throws `ERR_LOG_CORRUPT` when they are not there. */
export function openRecords(source: LogSource, { open }: Cursor): LogRecord[] {
  return open.map((idx) => {
    for (const stored of source.records(idx)) if (stored.idx === idx) return decode(stored.idx, stored.bytes);
    throw new SallyportError('ERR_LOG_CORRUPT', `record ${idx} is missing; verify the log`);
  });
}

/** Throws `ERR_LOG_CORRUPT` when the record before the cursor is not the one that was exported. */
export function requireSameLog(source: LogSource, { next, leaf }: Cursor): void {
  if (next === 0) return;
  for (const { idx, bytes } of source.records(next - 1)) {
    if (idx === next - 1 && leafHash(bytes) === leaf) return;
    break;
  }
  throw new SallyportError(
    'ERR_LOG_CORRUPT',
    `record ${next - 1} is not the one that was exported; verify the log, or remove the cursor if it is of another log`,
  );
}

async function deliver(text: string, signal: AbortSignal, deps: ExportDeps): Promise<number | undefined> {
  for (let pause = FIRST_PAUSE; !signal.aborted; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
    try {
      return await deps.receiver.deliver(text, deps.format.contentType);
    } catch (error) {
      deps.complain(error, pause);
      await deps.sleep(pause, signal);
    }
  }
  return undefined;
}

function* batches(source: LogSource, { next }: Cursor): Generator<ExportedRecord[]> {
  let batch: ExportedRecord[] = [];
  let expected = next;
  for (const { idx, bytes } of source.records(next)) {
    if (idx !== expected)
      throw new SallyportError('ERR_LOG_CORRUPT', `record ${expected} is missing; verify the log`);
    expected++;
    batch.push({ record: decode(idx, bytes), bytes, leaf: leafHash(bytes) });
    if (batch.length < BATCH) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

function decode(idx: number, bytes: Uint8Array): LogRecord {
  const decoded = decodeRecord(bytes);
  if (decoded.ok) return decoded.value;
  throw new SallyportError(
    'ERR_LOG_CORRUPT',
    `record ${idx} cannot be read (${decoded.error.reason}); verify the log`,
  );
}
