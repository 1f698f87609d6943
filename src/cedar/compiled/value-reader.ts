import type { SchemaJson } from '@cedar-policy/cedar-wasm/nodejs';
import { parseDatetime, parseDecimal, parseDuration } from './extensions.ts';
import { NotRepresented } from './outcome.ts';
import { entityUid, type RecordValue, type Scaled, setOf, type Value } from './value.ts';

/** Reads a value of one type from Cedar's JSON format. Throws `NotRepresented` for anything else. */
export type ValueReader = (json: unknown) => Value;

/** Where names in a type are looked up: first in the namespace, then as they are. */
export type TypeScope = { readonly schema: SchemaJson<string>; readonly namespace: string };

/** Throws `NotRepresented` for a type whose values this evaluator does not hold. */
export function readerOf(type: unknown, scope: TypeScope): ValueReader {
  const json = membersOf(type);
  switch (json['type']) {
    case 'String':
    case '__cedar::String':
      return readString;
    case 'Long':
    case '__cedar::Long':
      return readLong;
    case 'Boolean':
    case '__cedar::Bool':
      return readBoolean;
    case 'Set':
      return readerOfSet(readerOf(json['element'], scope));
    case 'Record':
      return readerOfRecord(type, scope);
    case 'Entity':
      return readerOfEntity(json['name'], scope);
    case 'Extension':
      return readerOfExtension(json['name']);
    case '__cedar::decimal':
    case '__cedar::datetime':
    case '__cedar::duration':
      return readerOfExtension(json['type'].slice('__cedar::'.length));
    default:
      throw new NotRepresented(`values of type "${String(json['type'])}"`);
  }
}

const readString: ValueReader = (json) => {
  if (typeof json === 'string' && json.isWellFormed()) return json;
  throw new NotRepresented('not a string');
};

const readLong: ValueReader = (json) => {
  if (typeof json === 'number' && Number.isSafeInteger(json)) return json + 0;
  throw new NotRepresented('not an integer that JSON holds exactly');
};

const readBoolean: ValueReader = (json) => {
  if (typeof json === 'boolean') return json;
  throw new NotRepresented('not a boolean');
};

function readerOfSet(readItem: ValueReader): ValueReader {
  return (json) => {
    if (!Array.isArray(json)) throw new NotRepresented('not an array');
    return setOf((json as unknown[]).map(readItem));
  };
}

/** Records are closed, as they are in Cedar. */
export function readerOfRecord(type: unknown, scope: TypeScope): (json: unknown) => RecordValue {
  const json = membersOf(type);
  if (json['additionalAttributes'] === true) throw new NotRepresented('open records');
  const members = Object.entries(membersOf(json['attributes'])).map(([name, member]) => ({
    name,
    read: readerOf(member, scope),
    isRequired: membersOf(member)['required'] !== false,
  }));
  return (value) => {
    const given = membersOf(value);
    const found = new Map<string, Value>();
    for (const { name, read, isRequired } of members) {
      if (Object.hasOwn(given, name)) found.set(name, read(given[name]));
      else if (isRequired) throw new NotRepresented('a record without a required attribute');
    }
    if (Object.keys(given).length !== found.size) throw new NotRepresented('a record with more attributes');
    return { tag: 'record', members: found };
  };
}

function readerOfEntity(name: unknown, { schema, namespace }: TypeScope): ValueReader {
  const [type, values] = findEntityType(name, schema, namespace);
  return (json) => {
    const uid = membersOf(json);
    const { type: given, id } = '__entity' in uid && hasOnly(uid, 1) ? membersOf(uid['__entity']) : uid;
    if (given !== type || typeof id !== 'string' || !id.isWellFormed()) {
      throw new NotRepresented('not a reference to an entity of the type');
    }
    if (values !== undefined && !values.has(id)) throw new NotRepresented('not an entity of a closed list');
    return entityUid(type, id);
  };
}

/** The full name of an entity type, and its entities if it is a closed list. */
function findEntityType(
  name: unknown,
  schema: SchemaJson<string>,
  namespace: string,
): [string, ReadonlySet<string> | undefined] {
  if (typeof name !== 'string') throw new NotRepresented('an entity type without a name');
  for (const full of namespace === '' ? [name] : [`${namespace}::${name}`, name]) {
    const at = full.lastIndexOf('::');
    const types = schema[at < 0 ? '' : full.slice(0, at)]?.entityTypes;
    const basename = at < 0 ? full : full.slice(at + 2);
    if (types === undefined || !Object.hasOwn(types, basename)) continue;
    const { enum: values } = membersOf(types[basename]);
    return [full, Array.isArray(values) ? new Set(values as string[]) : undefined];
  }
  throw new NotRepresented(`the entity type "${name}" is not declared`);
}

const PARSERS = new Map<unknown, (text: string) => Scaled | undefined>([
  ['decimal', parseDecimal],
  ['datetime', parseDatetime],
  ['duration', parseDuration],
]);

function readerOfExtension(name: unknown): ValueReader {
  const parse = PARSERS.get(name);
  if (parse === undefined) throw new NotRepresented(`values of type "${String(name)}"`);
  return (json) => {
    const text = typeof json === 'string' ? json : argumentOf(json, name);
    const value = typeof text === 'string' ? parse(text) : undefined;
    if (value === undefined) throw new NotRepresented(`not a ${String(name)} in its common form`);
    return value;
  };
}

/** Of `{"__extn": {"fn": name, "arg": text}}`. */
function argumentOf(json: unknown, name: unknown): unknown {
  const { __extn: call } = membersOf(json);
  const { fn, arg } = membersOf(call);
  return fn === name && hasOnly(membersOf(json), 1) && hasOnly(membersOf(call), 2) ? arg : undefined;
}

const hasOnly = (json: object, members: number): boolean => Object.keys(json).length === members;

/** Throws `NotRepresented` for what is not an object. */
export function membersOf(json: unknown): Record<string, unknown> {
  if (typeof json === 'object' && json !== null && !Array.isArray(json))
    return json as Record<string, unknown>;
  throw new NotRepresented('not an object');
}
