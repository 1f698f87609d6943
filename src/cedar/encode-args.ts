import { isIPv6 } from 'node:net';
import type { CedarValueJson } from '@cedar-policy/cedar-wasm/nodejs';
import { isJsonObject, type JsonObject, type JsonValue } from '../base/index.ts';
import { type ArgType, NAMESPACE, type RecordArg, type Variant } from './arg-types.ts';

/**
 * Which arguments policies cannot see, by name; nothing a call carries is dropped without being named here.
 * Names are JSON Pointers (RFC 6901) without the leading slash: `amount`, `address/zip`; `*` for any element.
 * - `nulls`: sent as JSON `null`, which the schema allows; the attribute is absent.
 * - `opaque`: declared, but of a type Cedar has no type for.
 * - `unmapped`: declared and mappable, but this value is not (2^60, 1.00001, a bad date, a wrong type).
 * - `extra`: not declared.
 */
export type ArgInfo = Readonly<Record<'nulls' | 'opaque' | 'unmapped' | 'extra', readonly string[]>>;

export type EncodedArgs = { readonly args: Record<string, CedarValueJson>; readonly info: ArgInfo };

/** Most that the arguments of one call may take in the context: 16 for each value, and a string's UTF-8 bytes. */
const MAX_CONTEXT_BYTES = 64 * 1024;
const VALUE_BYTES = 16;
/** Names kept per list of `ArgInfo`; `*` stands for all further ones. */
const MAX_NAMES = 32;
const MAX_NAME_LENGTH = 256;

/**
 * Turns the arguments of a call into Cedar values. It never passes JSON on: each value is built anew after
 * the declared type, so that no argument can speak Cedar's JSON escapes (`__entity`, `__extn`). Decimals, times
 * and addresses are written as strings, which the schema makes Cedar read as what they are.
 */
export function encodeArgs(type: RecordArg, args: JsonObject): EncodedArgs {
  const names: Names = { nulls: [], opaque: [], unmapped: [], extra: [] };
  const encoded = encodeRecord(type, args, '', { names, bytesLeft: MAX_CONTEXT_BYTES, inSet: false });
  return { args: encoded ?? {}, info: names };
}

type Names = Record<keyof ArgInfo, string[]>;
type Encoding = {
  readonly names: Names;
  bytesLeft: number;
  /** Inside an array a value that cannot be mapped makes the whole array `unmapped`. */
  inSet: boolean;
};

/** Undefined stands for "cannot be mapped". */
type Encoded = CedarValueJson | undefined;

function note(names: string[], name: string): void {
  if (names.length > MAX_NAMES) return;
  const shown = names.length === MAX_NAMES || name.length > MAX_NAME_LENGTH ? '*' : name.toWellFormed();
  if (names[names.length - 1] !== shown && !names.includes(shown)) names.push(shown);
}

function join(path: string, name: string): string {
  const escaped =
    name.includes('~') || name.includes('/') ? name.replaceAll('~', '~0').replaceAll('/', '~1') : name;
  return path === '' ? escaped : `${path}/${escaped}`;
}

function encodeRecord(type: RecordArg, value: JsonObject, path: string, encoding: Encoding) {
  const out: Record<string, CedarValueJson> = {};
  let declared = 0;
  for (const [name, field] of type.fields) {
    if (!Object.hasOwn(value, name)) continue;
    declared++;
    const member = value[name] ?? null;
    const at = join(path, name);
    if (field.type.kind === 'opaque') {
      note(encoding.names.opaque, at);
    } else if (member === null && field.nullable) {
      note(encoding.names.nulls, at);
    } else {
      const encoded = encodeValue(field.type, member, at, encoding);
      if (encoded !== undefined) out[name] = encoded;
      else if (encoding.inSet) return undefined;
      else note(encoding.names.unmapped, at);
    }
  }
  noteOthers(type, value, declared, path, encoding);
  return out;
}

function noteOthers(
  type: RecordArg,
  value: JsonObject,
  declared: number,
  path: string,
  encoding: Encoding,
): void {
  const keys = Object.keys(value);
  if (keys.length === declared) return;
  const names = type.others === 'extra' ? encoding.names.extra : encoding.names.opaque;
  for (const name of keys) {
    if (!type.fields.has(name)) note(names, join(path, name));
    if (names.length > MAX_NAMES) return;
  }
}

function encodeValue(type: ArgType, value: JsonValue, path: string, encoding: Encoding): Encoded {
  const bytes = VALUE_BYTES + (typeof value === 'string' ? Buffer.byteLength(value) : 0);
  if (bytes > encoding.bytesLeft) return undefined;
  encoding.bytesLeft -= bytes;
  switch (type.kind) {
    case 'set':
      return encodeSet(type.element, value, path, encoding);
    case 'record':
      return isJsonObject(value) ? encodeRecord(type, value, path, encoding) : undefined;
    case 'union':
      return encodeUnion(type.variants, value, path, encoding);
    default:
      return encodeScalar(type, value);
  }
}

function encodeSet(element: ArgType, value: JsonValue, path: string, encoding: Encoding): Encoded {
  if (!isArray(value)) return undefined;
  const outer = encoding.inSet;
  encoding.inSet = true;
  const out: CedarValueJson[] = [];
  for (const item of value) {
    const encoded = encodeValue(element, item, `${path}/*`, encoding);
    if (encoded === undefined) break;
    out.push(encoded);
  }
  encoding.inSet = outer;
  return out.length === value.length ? out : undefined;
}

function encodeUnion(
  variants: ReadonlyMap<Variant, ArgType>,
  value: JsonValue,
  path: string,
  encoding: Encoding,
): Encoded {
  const name = variantFor(value, variants);
  const type = name === undefined ? undefined : variants.get(name);
  if (name === undefined || type === undefined) return undefined;
  const encoded = encodeValue(type, value, path, encoding);
  return encoded === undefined ? undefined : { [name]: encoded };
}

function variantFor(value: JsonValue, variants: ReadonlyMap<Variant, ArgType>): Variant | undefined {
  switch (typeof value) {
    case 'string':
      return 'asString';
    case 'number':
      return variants.has('asDecimal') ? 'asDecimal' : 'asLong';
    case 'boolean':
      return 'asBoolean';
    default:
      if (value === null) return undefined;
      return isArray(value) ? 'asSet' : 'asRecord';
  }
}

function encodeScalar(type: ArgType, value: JsonValue): Encoded {
  switch (type.kind) {
    case 'boolean':
      return typeof value === 'boolean' ? value : undefined;
    case 'long':
      return typeof value === 'number' && Number.isSafeInteger(value) ? value + 0 : undefined;
    case 'decimal':
      return typeof value === 'number' ? toDecimal(value) : undefined;
    default:
      return typeof value === 'string' && value.isWellFormed() ? encodeString(type, value) : undefined;
  }
}

function encodeString(type: ArgType, value: string): Encoded {
  switch (type.kind) {
    case 'string':
      return value;
    case 'enum':
      return type.values.has(value) ? { type: `${NAMESPACE}::${type.entityType}`, id: value } : undefined;
    case 'datetime':
      return type.format === 'date' ? toDate(value) : toUtc(value);
    case 'ipaddr':
      return isAddress(value, type.version) ? value : undefined;
    default:
      return undefined;
  }
}

const DECIMAL = /^-?\d{1,15}(?:\.\d{1,4})?$/;
const MAX_DECIMAL = 922_337_203_685_476; // below the largest Cedar decimal, 2^63 / 10^4

/** The number as JSON writes it, if that has at most four fractional digits: never rounded. */
function toDecimal(value: number): string | undefined {
  const text = String(value);
  if (Math.abs(value) > MAX_DECIMAL || !DECIMAL.test(text)) return undefined;
  return text.includes('.') ? text : `${text}.0`;
}

const DATE = /^(\d{4})-(\d\d)-(\d\d)$/;
const DATE_TIME =
  /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,3})0*)?(?:[Zz]|([+-])(\d\d):(\d\d))$/;

function toDate(text: string): string | undefined {
  const match = DATE.exec(text);
  return match === null ? undefined : utc(match.slice(1).map(Number), 0);
}

/** RFC 3339 to UTC with milliseconds; finer fractions and leap seconds cannot be held exactly. */
function toUtc(text: string): string | undefined {
  const match = DATE_TIME.exec(text);
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second, fraction = '', sign, offsetHour, offsetMinute] = match;
  const parts = [year, month, day, hour, minute, second].map(Number);
  parts.push(Number(fraction.padEnd(3, '0')));
  const offset = Number(offsetHour ?? 0) * 60 + Number(offsetMinute ?? 0);
  if (Number(offsetHour ?? 0) > 23 || Number(offsetMinute ?? 0) > 59) return undefined;
  return utc(parts, sign === '-' ? -offset : offset);
}

/** Undefined for what is not a day, hour, ... of its own: `Date` would roll February 30 over. */
function utc(parts: readonly number[], offsetMinutes: number): string | undefined {
  const [year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0, ms = 0] = parts;
  const local = new Date(0);
  local.setUTCFullYear(year, month - 1, day);
  local.setUTCHours(hour, minute, second, ms);
  const isSame =
    local.getUTCMonth() === month - 1 &&
    local.getUTCDate() === day &&
    local.getUTCHours() === hour &&
    local.getUTCMinutes() === minute &&
    local.getUTCSeconds() === second;
  const iso = new Date(local.getTime() - offsetMinutes * 60_000).toISOString();
  return isSame && iso.length === 24 ? iso : undefined;
}

const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.|$)){4}$/;

/** Only plain addresses: Cedar would also take a CIDR range, and refuses mixed notation and zones. */
function isAddress(text: string, version: 4 | 6): boolean {
  if (version === 6) return isIPv6(text) && !text.includes('.') && !text.includes('%');
  return IPV4.test(text) && !/(?:^|\.)0\d/.test(text) && !text.endsWith('.');
}

const isArray: (value: JsonValue) => value is readonly JsonValue[] = Array.isArray;
