import { isJsonObject, type JsonObject, type JsonValue } from '../../base/index.ts';
import { isData } from './leaves.ts';

const MAX_VALUES = 1_000;
const MAX_DEPTH = 32;

/** Strings and numbers at a place in the arguments. `isWhole` is false when there are more than are looked at. */
export type Scalars = { readonly values: string[]; isWhole: boolean };

/**
 * What stands at a dotted path of the arguments: all of its strings and numbers. Lists are gone through. A scalar
 * that stands where the path goes on is taken too: an upstream may read JSON from a string. So are keys that no
 * program gives a field: `{"emma@example.com": true}`.
 */
export function scalarsAt(args: JsonObject, path: string): Scalars {
  const found: Scalars = { values: [], isWhole: true };
  visit(args, path.split('.'), found, 0);
  return found;
}

/** All strings and numbers of the arguments, and the keys that are values themselves. */
export function scalarsOf(args: JsonObject): Scalars {
  const found: Scalars = { values: [], isWhole: true };
  visit(args, [], found, 0);
  return found;
}

function visit(value: JsonValue | undefined, path: readonly string[], found: Scalars, depth: number): void {
  if (value === undefined || value === null || value === '' || typeof value === 'boolean') return;
  if (depth > MAX_DEPTH || found.values.length >= MAX_VALUES) {
    found.isWhole = false;
  } else if (Array.isArray(value)) {
    for (const item of value as readonly JsonValue[]) visit(item, path, found, depth + 1);
  } else if (isJsonObject(value)) {
    visitMembers(value, path, found, depth);
  } else {
    found.values.push(String(value));
  }
}

function visitMembers(record: JsonObject, path: readonly string[], found: Scalars, depth: number): void {
  if (path.length === 0) {
    for (const [key, member] of Object.entries(record)) {
      if (isData(key)) visit(key, path, found, depth + 1);
      if (!isKind(key, member)) visit(member, path, found, depth + 1);
    }
    return;
  }
  const [name = '', ...rest] = path;
  if (Object.hasOwn(record, name)) visit(record[name], rest, found, depth + 1);
  const whole = path.join('.'); // a name may have dots in it
  if (rest.length > 0 && Object.hasOwn(record, whole)) visit(record[whole], [], found, depth + 1);
}

/** A member that chooses among a few words of the tool's: no name of anything. */
function isKind(key: string, value: JsonValue): boolean {
  return KINDS.has(key.toLowerCase()) && typeof value === 'string' && /^[a-z_-]{1,24}$/i.test(value);
}

const KINDS = new Set(['type', 'kind']);
