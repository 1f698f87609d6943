import { type JsonObject, parseRunId } from '../base/index.ts';
import { fitJson } from './fit-json.ts';
import { type NewRecord, RECORD_VERSION, type RecordEnvelope } from './record.ts';
import { type Field, RECORD_FIELDS } from './record-fields.ts';

/** Longest record in bytes: entry bundles of C2SP tlog-tiles have a 16-bit length. */
export const MAX_RECORD_BYTES = 65_535;

/** The strand of everything that belongs to no run. */
export const GATEWAY_STRAND = 'gateway';

const MAX_ENVELOPE_BYTES = 255;
const MAX_BODY_BYTES = MAX_RECORD_BYTES - MAX_ENVELOPE_BYTES;

/** A record that waits for its place: the strand it joins and its own fields as JSON. */
export type EncodedBody = { readonly strand: string; readonly json: string };

/**
 * The fields of a record as JSON: known fields only, in stored order. Text that would make the record too long
 * is cut with a mark, before anything is hashed. Throws a `TypeError` for a record that cannot be one, or one that
 * still says what it should commit to.
 */
export function encodeBody(record: NewRecord): EncodedBody {
  const fields = RECORD_FIELDS[record.type];
  if (fields === undefined) throw new TypeError('record.type is not a record type');
  const run = 'run' in record ? record.run : undefined;
  if (run !== undefined && parseRunId(run) === undefined) throw new TypeError('record.run is not a run id');
  if (isSpoken(record)) throw new TypeError('record must be committed to what it says before it is encoded');
  const ordered = inOrder(record, fields);
  let json = JSON.stringify(ordered);
  if (json.length * 3 > MAX_BODY_BYTES && Buffer.byteLength(json) > MAX_BODY_BYTES) {
    json = JSON.stringify(fitJson(ordered as JsonObject, MAX_BODY_BYTES));
  }
  return { strand: run ?? GATEWAY_STRAND, json };
}

function isSpoken(record: NewRecord): boolean {
  if (record.type === 'refusal' && record.decision !== undefined && 'asks' in record.decision) return true;
  if ('bridge' in record && record.bridge?.input !== undefined && 'text' in record.bridge.input) return true;
  const said =
    record.type === 'outcome' ? record.result : 'subject' in record ? record.subject?.args : undefined;
  return said !== undefined && 'text' in said;
}

/** Puts the envelope before the encoded fields. The UTF-8 bytes of this text are what is stored and hashed. */
export function sealRecord(envelope: Omit<RecordEnvelope, 'v'>, body: string): string {
  const { idx, at, strand, seq, prev } = envelope;
  const head = `{"v":${RECORD_VERSION},"idx":${idx},"at":"${at}","strand":"${strand}","seq":${seq},"prev":"${prev}",`;
  return head + body.slice(1);
}

/** Copies the known fields in stored order; whatever else the object carries does not get into the log. */
function inOrder(value: object, fields: readonly Field[]): Record<string, unknown> {
  const source = value as Readonly<Record<string, unknown>>;
  const out: Record<string, unknown> = {};
  for (const { key, kind } of fields) {
    const part = source[key];
    if (part === undefined) continue;
    out[key] = typeof kind === 'object' ? inOrder(part as object, kind) : part;
  }
  return out;
}
