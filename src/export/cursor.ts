import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { isJsonObject, type JsonValue, parseStrictJson, SallyportError } from '../base/index.ts';
import type { Hash } from '../intent-log/index.ts';
import type { FormatMemory } from './format.ts';

/** How far an export has come. */
export type Cursor = FormatMemory & {
  /** Index of the next record to export. */
  readonly next: number;
  /** Leaf hash of the record before it: shows that it is still the same log. Empty at the start. */
  readonly leaf: Hash;
  /** Bytes in the file that is exported to; 0 for other receivers. */
  readonly length: number;
};

export const START: Cursor = { next: 0, leaf: '', length: 0, open: [] };

/** Reads a cursor file; the start of the log when there is none. Throws `ERR_CONFIG_INVALID` for a damaged one. */
export function readCursorFile(path: string): Cursor {
  if (!existsSync(path)) return START;
  const parsed = parseStrictJson(readFileSync(path, 'utf8'));
  const cursor = parsed.ok ? toCursor(parsed.value) : undefined;
  if (cursor !== undefined) return cursor;
  throw new SallyportError(
    'ERR_CONFIG_INVALID',
    `${path} is not the cursor of an export; remove it to export all again`,
  );
}

/** On disk when it returns, whole or not at all. */
export function writeCursorFile(path: string, cursor: Cursor): void {
  const draft = `${path}.new`;
  const file = openSync(draft, 'w', 0o600);
  try {
    writeSync(file, `${JSON.stringify(cursor)}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(draft, path);
}

function toCursor(value: JsonValue): Cursor | undefined {
  if (!isJsonObject(value)) return undefined;
  const { next, leaf, length, open, fingerprint } = value;
  if (!isIndex(next) || !isIndex(length) || typeof leaf !== 'string') return undefined;
  if (!Array.isArray(open) || !open.every(isIndex)) return undefined;
  if (fingerprint !== undefined && typeof fingerprint !== 'string') return undefined;
  return { next, leaf, length, open, ...(fingerprint === undefined ? {} : { fingerprint }) };
}

function isIndex(value: JsonValue | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
