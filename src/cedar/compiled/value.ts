import { EvaluationError } from './outcome.ts';

/**
 * Cedar's values as plain data. A Long is a `number` while that is exact and a `bigint` beyond, never both for
 * one value, so that `===` compares Longs.
 */
export type Value = boolean | Long | string | EntityUid | SetValue | RecordValue | Scaled;

/** A signed integer of 64 bits. */
export type Long = number | bigint;

export type EntityUid = {
  readonly tag: 'entity';
  readonly type: string;
  readonly id: string;
  /** Equal for equal entities. */
  readonly key: string;
};

export type SetValue = {
  readonly tag: 'set';
  /** In any order, perhaps more than once. */
  readonly items: readonly Value[];
  /** Of the distinct items; made when it is first needed. */
  keys: ReadonlySet<string> | undefined;
};

export type RecordValue = { readonly tag: 'record'; readonly members: ReadonlyMap<string, Value> };

/** Values of Cedar's extension types: ten-thousandths, milliseconds since the epoch, milliseconds. */
export type Scaled = { readonly tag: 'decimal' | 'datetime' | 'duration'; readonly amount: Long };

export function entityUid(type: string, id: string): EntityUid {
  return { tag: 'entity', type, id, key: `${type}\n${id}` }; // a type name has no line feed
}

export const setOf = (items: readonly Value[]): SetValue => ({ tag: 'set', items, keys: undefined });

/** Cedar's equality: total, and false between values of different types. */
export function areEqual(a: Value, b: Value): boolean {
  if (typeof a !== 'object' || typeof b !== 'object') return a === b;
  switch (a.tag) {
    case 'entity':
      return b.tag === 'entity' && a.key === b.key;
    case 'set':
      return b.tag === 'set' && keysOf(a).size === keysOf(b).size && includesAll(a, b);
    case 'record':
      return b.tag === 'record' && haveEqualMembers(a, b);
    default:
      return a.tag === b.tag && a.amount === b.amount;
  }
}

function haveEqualMembers({ members: a }: RecordValue, { members: b }: RecordValue): boolean {
  if (a.size !== b.size) return false;
  for (const [name, value] of a) {
    const other = b.get(name);
    if (other === undefined || !areEqual(value, other)) return false;
  }
  return true;
}

const MAX_SCANNED = 8;

export function includes(set: SetValue, value: Value): boolean {
  if (set.keys !== undefined || set.items.length > MAX_SCANNED) return keysOf(set).has(keyOf(value));
  return set.items.some((item) => areEqual(item, value));
}

/** Is every item of `part` in `whole`? */
export function includesAll(whole: SetValue, part: SetValue): boolean {
  return part.items.every((item) => includes(whole, item));
}

/** Of the distinct items. */
export function keysOf(set: SetValue): ReadonlySet<string> {
  set.keys ??= new Set(set.items.map(keyOf));
  return set.keys;
}

/** A text that is equal for equal values and for no others. */
export function keyOf(value: Value): string {
  switch (typeof value) {
    case 'string':
      return `s${value}`;
    case 'boolean':
      return value ? 't' : 'f';
    case 'number':
    case 'bigint':
      return `l${value}`;
  }
  switch (value.tag) {
    case 'entity':
      return `e${value.key}`;
    case 'set':
      return `S${JSON.stringify([...keysOf(value)].sort())}`;
    case 'record': {
      const members = [...value.members].map(([name, member]) => [name, keyOf(member)]);
      return `R${JSON.stringify(members.sort(([a = ''], [b = '']) => (a < b ? -1 : 1)))}`;
    }
    default:
      return `${value.tag} ${value.amount}`;
  }
}

/** Cedar's name of a value's type, as its messages have it. */
export function typeNameOf(value: Value): string {
  switch (typeof value) {
    case 'string':
      return 'string';
    case 'boolean':
      return 'bool';
    case 'number':
    case 'bigint':
      return 'long';
  }
  return value.tag === 'entity' ? `(entity of type \`${value.type}\`)` : value.tag;
}

function mismatch(expected: string, value: Value): EvaluationError {
  return new EvaluationError(`type error: expected ${expected}, got ${typeNameOf(value)}`);
}

const ANY_ENTITY = '(entity of type `any_entity_type`)';

/** Each `as...` throws an `EvaluationError` for a value of another type. */
export function asBool(value: Value): boolean {
  if (typeof value !== 'boolean') throw mismatch('bool', value);
  return value;
}

export function asLong(value: Value): Long {
  if (typeof value !== 'number' && typeof value !== 'bigint') throw mismatch('long', value);
  return value;
}

export function asString(value: Value): string {
  if (typeof value !== 'string') throw mismatch('string', value);
  return value;
}

export function asSet(value: Value): SetValue {
  if (typeof value !== 'object' || value.tag !== 'set') throw mismatch('set', value);
  return value;
}

export function asEntity(value: Value): EntityUid {
  if (typeof value !== 'object' || value.tag !== 'entity') throw mismatch(ANY_ENTITY, value);
  return value;
}

export function asScaled(value: Value, tag: Scaled['tag']): Scaled {
  if (typeof value !== 'object' || value.tag !== tag) throw mismatch(tag, value);
  return value as Scaled;
}

export function asOwner(value: Value): EntityUid | RecordValue {
  if (typeof value === 'object' && (value.tag === 'record' || value.tag === 'entity')) return value;
  throw mismatch(`one of [record, ${ANY_ENTITY}]`, value);
}

/** What may stand to the right of `in`. */
export function asEntities(value: Value): readonly EntityUid[] {
  if (typeof value === 'object' && value.tag === 'entity') return [value];
  if (typeof value === 'object' && value.tag === 'set') return value.items.map(asEntity);
  throw mismatch(`one of [set, ${ANY_ENTITY}]`, value);
}
