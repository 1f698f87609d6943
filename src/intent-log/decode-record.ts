import { err, isJsonObject, type JsonObject, type JsonValue, ok, type Result } from '../base/index.ts';
import { type LogRecord, READABLE_VERSIONS, type RecordBody } from './record.ts';
import { type Field, type FieldKind, RECORD_FIELDS } from './record-fields.ts';

/** Why stored bytes are not a record this version can read. */
export type RecordDefect =
  | { readonly reason: 'not_json' }
  | { readonly reason: 'unknown_version'; readonly version: JsonValue | undefined }
  | { readonly reason: 'unknown_type'; readonly type: JsonValue | undefined }
  | { readonly reason: 'bad_field'; readonly field: string };

const ENVELOPE: readonly Field[] = [
  { key: 'idx', kind: 'integer', optional: false },
  { key: 'at', kind: 'string', optional: false },
  { key: 'strand', kind: 'string', optional: false },
  { key: 'seq', kind: 'integer', optional: false },
  { key: 'prev', kind: 'string', optional: false },
];

/** Reads stored bytes. Says nothing about whether they are the bytes that were once written: that is the audit. */
export function decodeRecord(bytes: Uint8Array): Result<LogRecord, RecordDefect> {
  const value = parseObject(bytes);
  if (value === undefined) return err({ reason: 'not_json' });
  const version = value['v'];
  if (typeof version !== 'number' || !READABLE_VERSIONS.includes(version))
    return err({ reason: 'unknown_version', version });
  const type = value['type'];
  if (!isRecordType(type)) return err({ reason: 'unknown_type', type });
  const field = badField(value, ENVELOPE) ?? badField(value, RECORD_FIELDS[type]);
  if (field !== undefined) return err({ reason: 'bad_field', field });
  return ok(value as unknown as LogRecord);
}

function parseObject(bytes: Uint8Array): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(asBuffer(bytes).toString('utf8'));
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function isRecordType(type: JsonValue | undefined): type is RecordBody['type'] {
  return typeof type === 'string' && Object.hasOwn(RECORD_FIELDS, type);
}

function badField(value: JsonObject, fields: readonly Field[]): string | undefined {
  for (const { key, kind, optional } of fields) {
    const part = value[key];
    if (part === undefined && optional) continue;
    if (part === undefined || !fits(part, kind)) return key;
  }
  return undefined;
}

function fits(part: JsonValue, kind: FieldKind): boolean {
  switch (kind) {
    case 'string':
      return typeof part === 'string';
    case 'integer':
      return Number.isSafeInteger(part);
    case 'rpcId':
      return typeof part === 'string' || typeof part === 'number';
    case 'strings':
      return Array.isArray(part) && part.every((item) => typeof item === 'string');
    case 'json':
      return isJsonObject(part);
    default:
      return isJsonObject(part) && badField(part, kind) === undefined;
  }
}
