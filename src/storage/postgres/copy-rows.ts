import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import copyStreams from 'pg-copy-streams';
import type { Session } from './database.ts';

/** What a column of a row holds; the binary form of it must be that of the column's type. */
export type Cell = Buffer | null;

const SIGNATURE = Buffer.concat([Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'), Buffer.alloc(8)]);
const TRAILER = Buffer.from([0xff, 0xff]);
/** PostgreSQL counts from 2000-01-01. */
const EPOCH_MS = 946_684_800_000;
const TEXT_OID = 25;

/** Adds rows to a table in PostgreSQL's binary COPY format, in the transaction of the session. */
export async function copyRows(
  session: Session,
  target: string,
  rows: Iterable<readonly Cell[]>,
): Promise<void> {
  const sink = session.query(copyStreams.from(`COPY ${target} FROM STDIN (FORMAT binary)`));
  await pipeline(Readable.from(framed(rows)), sink);
}

function* framed(rows: Iterable<readonly Cell[]>): Generator<Buffer> {
  yield SIGNATURE;
  for (const row of rows) {
    const parts: Buffer[] = [int(row.length, 2)];
    for (const cell of row) {
      if (cell === null) parts.push(int(-1, 4));
      else parts.push(int(cell.length, 4), cell);
    }
    yield Buffer.concat(parts);
  }
  yield TRAILER;
}

/** The binary forms of column types. */
export const cell = {
  integer: (value: number): Buffer => int(value, 4),
  bigint: (value: number): Buffer => big(BigInt(value)),
  text: (value: string): Buffer => Buffer.from(storable(value)),
  bytea: (value: Uint8Array): Buffer => Buffer.from(value.buffer, value.byteOffset, value.length),
  /** From milliseconds since the epoch. */
  timestamptz: (value: number): Buffer => big(BigInt(value - EPOCH_MS) * 1000n),
  textArray(values: readonly string[]): Buffer {
    if (values.length === 0) return Buffer.concat([int(0, 4), int(0, 4), int(TEXT_OID, 4)]);
    const items = values.flatMap((value) => {
      const bytes = Buffer.from(storable(value));
      return [int(bytes.length, 4), bytes];
    });
    const head = [1, 0, TEXT_OID, values.length, 1].map((value) => int(value, 4));
    return Buffer.concat([...head, ...items]);
  },
};

/** Text as PostgreSQL can hold it: it knows no NUL. Whoever searches must spell it the same way. */
export function storable(text: string): string {
  return text.replaceAll('\0', '\u2400');
}

function int(value: number, bytes: 2 | 4): Buffer {
  const buffer = Buffer.alloc(bytes);
  buffer.writeIntBE(value, 0, bytes);
  return buffer;
}

function big(value: bigint): Buffer {
  const buffer = Buffer.alloc(8);
  buffer.writeBigInt64BE(value);
  return buffer;
}
