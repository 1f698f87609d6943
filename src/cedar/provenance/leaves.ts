import { isJsonObject, type JsonArray, type JsonObject, type JsonValue } from '../../base/index.ts';
import { type FieldRole, roleOf } from './field-names.ts';
import { looksLikeAddress } from './text-pieces.ts';

/** A scalar of a result, with what stands around it. */
export type Leaf = {
  readonly text: string;
  /** Path with `*` for positions in lists, so that there are few of them: `*.sender`. */
  readonly field: string;
  readonly role: FieldRole;
  /** No field names it: the whole result, or an element of a bare list. */
  readonly isBare: boolean;
  /**
   * Spelled unlike others of its list: an address in a bare list of names, or a name or number among the addresses
   * of people.
   */
  readonly isOdd: boolean;
  /** It is a key of an object. */
  readonly isKey: boolean;
  /** The object it belongs to; a list of names in a record belongs to the record. */
  readonly record: RecordTraits;
};

/** What a record says of itself. */
export type RecordTraits = { readonly isOwn: boolean; readonly isNamed: boolean };

export const NO_TRAITS: RecordTraits = { isOwn: false, isNamed: false };

export type Walk = {
  readonly onLeaf: (leaf: Leaf) => void;
  readonly traitsOf: (record: JsonObject, inherited: RecordTraits) => RecordTraits;
};

const MAX_DEPTH = 32;
const MAX_LEAVES = 20_000;

/** Visits the strings and numbers of a value. False when it is too deep or has too many to visit them all. */
export function walkLeaves(value: JsonValue, traits: RecordTraits, walk: Walk): boolean {
  let left = MAX_LEAVES;
  let isWhole = true;

  function visit(value: JsonValue, at: Place, depth: number): void {
    if (depth > MAX_DEPTH || left <= 0) {
      isWhole = false;
    } else if (typeof value === 'string' || typeof value === 'number') {
      left--;
      const { field } = at;
      walk.onLeaf({ ...at, text: String(value), isBare: field === '' || field === '*' });
    } else if (isList(value)) {
      visitList(value, at, depth);
    } else if (isJsonObject(value)) {
      visitRecord(value, { ...at, record: walk.traitsOf(value, at.record) }, depth);
    }
  }

  function visitList(list: JsonArray, at: Place, depth: number): void {
    const field = join(at.field, '*');
    const people = isPeople(at.role);
    const isMixed = (at.field === '' || people) && isPartly(list, isAddressText);
    const records = list.length > 1 && list.some(isJsonObject);
    const record = records && at.record.isNamed ? { ...at.record, isNamed: false } : at.record;
    for (const item of list) {
      visit(item, { ...at, field, record, isOdd: isMixed && isAddressText(item) !== people }, depth + 1);
    }
  }

  function visitRecord(record: JsonObject, at: Place, depth: number): void {
    const isMixed = isPeople(at.role) && isPartly(Object.keys(record), looksLikeAddress);
    for (const key in record) {
      const member = record[key];
      if (member === undefined) continue;
      if (isData(key)) visitKey(key, member, { ...at, isOdd: isMixed && !looksLikeAddress(key) }, depth);
      else visit(member, { ...at, field: join(at.field, key), role: roleOf(key), isOdd: false }, depth + 1);
    }
  }

  /** A key that is a value itself: `{"emma@example.com": "read"}`. What it leads to goes on as text. */
  function visitKey(key: string, member: JsonValue, at: Place, depth: number): void {
    visit(key, { ...at, field: join(at.field, '*'), isKey: true }, depth + 1);
    visit(member, { ...at, field: join(at.field, '*'), role: 'text', isOdd: false }, depth + 1);
  }

  visit(value, { field: '', role: 'text', record: traits, isOdd: false, isKey: false }, 0);
  return isWhole;
}

type Place = Pick<Leaf, 'field' | 'role' | 'record' | 'isOdd' | 'isKey'>;

const join = (field: string, name: string): string => (field === '' ? name : `${field}.${name}`);

const isAddressText = (value: JsonValue): boolean => typeof value === 'string' && looksLikeAddress(value);

const isPeople = (role: FieldRole): boolean => role === 'author' || role === 'addressee';

const isPartly = <T>(list: readonly T[], test: (value: T) => boolean): boolean =>
  list.some(test) && !list.every(test);

/** No name that a program gives a field. */
export function isData(key: string): boolean {
  return !/^[A-Za-z_$][A-Za-z0-9_$-]{0,63}$/.test(key) && !/^[A-Za-z][A-Za-z ]{0,31}$/.test(key);
}

const isList: (value: JsonValue) => value is JsonArray = Array.isArray;
