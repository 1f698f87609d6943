import { isJsonObject, type JsonObject, type JsonValue } from '../base/index.ts';
import { type ArgType, type Field, type Mapped, NULL, OPAQUE_ARGS, type RecordArg } from './arg-types.ts';
import { uniteTypes } from './unite-types.ts';

/** Gives the enum entity type for the argument at a path its name. */
export type EnumName = (path: readonly string[]) => string;

const MAX_DEPTH = 8;
const MAX_NODES = 2_000;
const MAX_PROPERTIES = 256;
const MAX_ENUM_VALUES = 256;
const MAX_NAME_LENGTH = 256;

/** Cedar's JSON escapes, and the name that would set a prototype. */
const RESERVED_NAMES = new Set(['__entity', '__extn', '__expr', '__proto__']);

const OPAQUE: Mapped = { type: { kind: 'opaque' }, nullable: false };

/**
 * What Cedar can hold of a tool's `inputSchema` (any dialect; only local references). Never throws: what
 * cannot be mapped is opaque, and a schema too large to be looked at is opaque as a whole.
 */
export function argsFromJsonSchema(inputSchema: JsonValue | undefined, enumName: EnumName): RecordArg {
  if (!isJsonObject(inputSchema)) return OPAQUE_ARGS;
  const walk: Walk = { root: inputSchema, enumName, nodes: 0, references: [], path: [] };
  const { type } = mapSchema(inputSchema, walk);
  return type.kind === 'record' && walk.nodes <= MAX_NODES ? type : OPAQUE_ARGS;
}

type Walk = {
  readonly root: JsonObject;
  readonly enumName: EnumName;
  /** `$ref` values being resolved, to stop at recursion. */
  readonly references: string[];
  /** Property names from the root. */
  readonly path: string[];
  /** Bounds what references can multiply out to. */
  nodes: number;
};

function mapSchema(schema: JsonValue | undefined, walk: Walk): Mapped {
  if (!isJsonObject(schema) || ++walk.nodes > MAX_NODES) return OPAQUE;
  if (walk.path.length > MAX_DEPTH) return OPAQUE;
  const reference = own(schema, '$ref');
  if (reference !== undefined) return mapReference(reference, walk);
  if (Object.hasOwn(schema, 'const')) return mapEnum([own(schema, 'const') ?? null], walk);
  const values = own(schema, 'enum');
  if (Array.isArray(values)) return mapEnum(values, walk);
  const type = own(schema, 'type');
  if (typeof type === 'string') return mapTyped(type, schema, walk);
  if (Array.isArray(type)) return uniteTypes(type.map((one) => mapTyped(one, schema, walk)));
  return mapUntyped(schema, walk);
}

function mapReference(reference: JsonValue, walk: Walk): Mapped {
  if (typeof reference !== 'string' || walk.references.includes(reference)) return OPAQUE;
  const target = resolveReference(reference, walk.root);
  if (target === undefined || walk.references.length > MAX_DEPTH) return OPAQUE;
  walk.references.push(reference);
  const mapped = mapSchema(target, walk);
  walk.references.pop();
  return mapped;
}

/** A JSON Pointer (RFC 6901) into the same document; nothing is ever fetched. */
function resolveReference(reference: string, root: JsonObject): JsonValue | undefined {
  if (reference === '#') return root;
  if (!reference.startsWith('#/')) return undefined;
  let at: JsonValue | undefined = root;
  for (const part of reference.slice(2).split('/')) {
    if (!isJsonObject(at)) return undefined;
    at = own(at, part.replaceAll('~1', '/').replaceAll('~0', '~'));
  }
  return at;
}

function mapUntyped(schema: JsonObject, walk: Walk): Mapped {
  if (isJsonObject(own(schema, 'properties'))) return mapTyped('object', schema, walk);
  const members = own(schema, 'anyOf') ?? own(schema, 'oneOf');
  if (Array.isArray(members)) return uniteTypes(members.map((member) => mapSchema(member, walk)));
  const all = own(schema, 'allOf');
  if (Array.isArray(all) && all.length === 1) return mapSchema(all[0], walk);
  if (own(schema, 'items') !== undefined) return mapTyped('array', schema, walk);
  return OPAQUE;
}

function mapTyped(type: JsonValue, schema: JsonObject, walk: Walk): Mapped {
  switch (type) {
    case 'string':
      return plain(mapString(own(schema, 'format')));
    case 'integer':
      return plain({ kind: 'long' });
    case 'number':
      return plain({ kind: 'decimal' });
    case 'boolean':
      return plain({ kind: 'boolean' });
    case 'null':
      return NULL;
    case 'array':
      return plain(mapArray(schema, walk));
    case 'object':
      return plain(mapObject(schema, walk));
    default:
      return OPAQUE;
  }
}

const plain = (type: ArgType): Mapped => ({ type, nullable: false });

function mapString(format: JsonValue | undefined): ArgType {
  switch (format) {
    case 'date':
    case 'date-time':
      return { kind: 'datetime', format };
    case 'ipv4':
      return { kind: 'ipaddr', version: 4 };
    case 'ipv6':
      return { kind: 'ipaddr', version: 6 };
    default:
      return { kind: 'string' };
  }
}

function mapEnum(all: readonly JsonValue[], walk: Walk): Mapped {
  const values = all.filter((value) => value !== null);
  const nullable = values.length < all.length;
  if (nullable && values.length === 0) return NULL;
  return { type: enumType(values, walk), nullable };
}

function enumType(values: readonly JsonValue[], walk: Walk): ArgType {
  if (values.length === 0) return { kind: 'opaque' };
  if (values.every((value) => typeof value === 'string')) {
    if (values.length > MAX_ENUM_VALUES) return { kind: 'string' };
    if (!values.every((value) => value.isWellFormed())) return { kind: 'opaque' };
    return { kind: 'enum', entityType: walk.enumName(walk.path), values: new Set(values) };
  }
  if (values.every((value) => typeof value === 'boolean')) return { kind: 'boolean' };
  if (values.every((value) => Number.isSafeInteger(value))) return { kind: 'long' };
  return values.every((value) => typeof value === 'number') ? { kind: 'decimal' } : { kind: 'opaque' };
}

function mapArray(schema: JsonObject, walk: Walk): ArgType {
  const items = own(schema, 'items');
  if (own(schema, 'prefixItems') !== undefined || !isJsonObject(items)) return { kind: 'opaque' };
  walk.path.push('*');
  const element = mapSchema(items, walk).type;
  walk.path.pop();
  return element.kind === 'opaque' ? element : { kind: 'set', element };
}

function mapObject(schema: JsonObject, walk: Walk): ArgType {
  const properties = own(schema, 'properties');
  const entries = isJsonObject(properties) ? Object.entries(properties) : [];
  const others = admitsOthers(schema) ? 'opaque' : 'extra';
  const isMap = entries.length === 0 && others === 'opaque';
  if (entries.length > MAX_PROPERTIES || (isMap && walk.path.length > 0)) return { kind: 'opaque' };
  const listed = own(schema, 'required');
  const required = new Set(Array.isArray(listed) ? listed : []);
  const fields = new Map<string, Field>();
  for (const [name, property] of entries) {
    if (RESERVED_NAMES.has(name) || name.length > MAX_NAME_LENGTH || !name.isWellFormed()) continue;
    walk.path.push(name);
    fields.set(name, { ...mapSchema(property, walk), required: required.has(name) });
    walk.path.pop();
  }
  return { kind: 'record', fields, others };
}

/** Does the schema let members in on purpose that `properties` does not declare? */
function admitsOthers(schema: JsonObject): boolean {
  for (const keyword of ['additionalProperties', 'unevaluatedProperties']) {
    const others = own(schema, keyword);
    if (others !== undefined && others !== false) return true;
  }
  if (own(schema, 'patternProperties') !== undefined) return true;
  return subschemas(schema).some((sub) => DECLARING.some((keyword) => Object.hasOwn(sub, keyword)));
}

const DECLARING = [
  'properties',
  'patternProperties',
  'additionalProperties',
  '$ref',
  'allOf',
  'anyOf',
  'oneOf',
];

function subschemas(schema: JsonObject): JsonObject[] {
  const lists = ['allOf', 'anyOf', 'oneOf'].map((keyword) => own(schema, keyword));
  const singles = ['if', 'then', 'else'].map((keyword) => own(schema, keyword));
  const dependent = own(schema, 'dependentSchemas');
  const all = [...lists.flat(), ...singles, ...(isJsonObject(dependent) ? Object.values(dependent) : [])];
  return all.filter(isJsonObject);
}

/** A member of the object itself: a schema may use `constructor` or `toString` as a name. */
function own(object: JsonObject, key: string): JsonValue | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}
