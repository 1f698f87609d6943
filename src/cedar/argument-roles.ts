import { isJsonObject, type JsonObject, type JsonValue } from '../base/index.ts';
import type { KeyArgument } from './annotations.ts';
import { ADDRESS_WORDS, CONTENT_WORDS, IDENTIFIER_WORDS, wordsOf } from './tool-words.ts';

/** What the arguments of a tool are for, as far as their names and types say it. */
export type ArgumentRoles = {
  readonly keyArguments: readonly KeyArgument[];
  readonly contentArguments: readonly string[];
  /** Can a call name a place on a network? */
  readonly hasUrl: boolean;
};

const MAX_DEPTH = 12;
const MAX_ARGUMENTS = 256;
/** Schemas that are looked at: a small one can refer to itself in many places. */
const MAX_SCHEMAS = 4_000;
const MAX_ENUM = 1_000;

type Leaf = { readonly path: string; readonly name: string; readonly schema: JsonValue };

/** Reads a JSON Schema of arguments. A text whose name says nothing is content: it can carry anything. */
export function argumentRoles(inputSchema: JsonValue | undefined): ArgumentRoles {
  const walk: Walk = {
    root: inputSchema ?? {},
    leaves: [],
    refs: new Set(),
    left: MAX_SCHEMAS,
    isCut: false,
  };
  collect(walk.root, '', '', 0, walk);
  const leaves = walk.isCut ? [...walk.leaves, ...wholeArguments(walk.root)] : walk.leaves;
  const keyArguments: KeyArgument[] = [];
  const contentArguments: string[] = [];
  let hasUrl = false;
  for (const { path, name, schema } of leaves) {
    const kind = schema === MORE_OF_THE_SAME ? recursive(keyArguments) : kindOf(name, schema);
    if (kind === 'content') contentArguments.push(path);
    else if (kind !== undefined) keyArguments.push({ path, kind });
    hasUrl ||= isUrl(name, schema);
  }
  return { keyArguments, contentArguments, hasUrl };
}

function kindOf(name: string, schema: JsonValue): KeyArgument['kind'] | 'content' | undefined {
  return schema === UNKNOWN_PARTS ? 'address' : roleOf(name, schema);
}

/** Of a tree whose nodes name somebody, every node may. */
function recursive(keys: readonly KeyArgument[]): 'address' | 'content' {
  return keys.some(({ path }) => path.includes('.')) ? 'address' : 'content';
}

type Walk = {
  readonly root: JsonValue;
  readonly leaves: Leaf[];
  /** References that are being followed: one that comes again has nothing new. */
  readonly refs: Set<string>;
  left: number;
  /** Something was too deep, too much, or referred to what is not there. */
  isCut: boolean;
};

/** In the place of a schema that could not be read to its end. */
const UNKNOWN_PARTS: JsonObject = {};

/** In the place of a schema that refers to one it is in. */
const MORE_OF_THE_SAME: JsonObject = {};

/** Each argument as a whole, when nobody knows what is in some of them: whom it reaches may be anywhere. */
function wholeArguments(root: JsonValue): Leaf[] {
  const properties = isJsonObject(root) && isJsonObject(root['properties']) ? root['properties'] : {};
  return Object.keys(properties).map((name) => ({ path: name, name, schema: UNKNOWN_PARTS }));
}

/** The schema at a JSON pointer of the same document. */
function resolveRef(ref: string, root: JsonValue): JsonValue | undefined {
  if (ref !== '#' && !ref.startsWith('#/')) return undefined;
  let at: JsonValue | undefined = root;
  for (const part of ref.split('/').slice(1)) {
    const name = part.replaceAll('~1', '/').replaceAll('~0', '~');
    if (isList(at)) at = at[Number(name)];
    else at = isJsonObject(at) && Object.hasOwn(at, name) ? at[name] : undefined;
  }
  return at;
}

function followRef(ref: string, path: string, name: string, depth: number, walk: Walk): void {
  if (walk.refs.has(ref)) {
    if (path !== '') walk.leaves.push({ path, name, schema: MORE_OF_THE_SAME });
    return;
  }
  const target = resolveRef(ref, walk.root);
  if (target === undefined) {
    walk.isCut = true;
    return;
  }
  walk.refs.add(ref);
  collect(target, path, name, depth + 1, walk);
  walk.refs.delete(ref);
}

/** Text and lists of text, wherever they are; a dot leads into objects, and through lists of objects. */
function collect(schema: JsonValue, path: string, name: string, depth: number, walk: Walk): void {
  const { leaves } = walk;
  if (depth > MAX_DEPTH || leaves.length >= MAX_ARGUMENTS || --walk.left < 0) {
    walk.isCut = true;
    return;
  }
  if (!isJsonObject(schema)) {
    if (schema === true && path !== '') leaves.push({ path, name, schema });
    return;
  }
  const { $ref: ref, properties, items, prefixItems, anyOf, oneOf, allOf } = schema;
  const before = leaves.length;
  if (typeof ref === 'string') followRef(ref, path, name, depth, walk);
  for (const branch of [anyOf, oneOf, allOf, prefixItems, branchesOf(schema)].flatMap(listOf)) {
    collect(branch, path, name, depth + 1, walk);
  }
  if (isJsonObject(properties)) {
    for (const [key, member] of Object.entries(properties)) {
      collect(member, path === '' ? key : `${path}.${key}`, key, depth + 1, walk);
    }
  }
  if (items !== undefined) collect(items, path, name, depth + 1, walk);
  const isNew = leaves.length === before && !leaves.some((leaf) => leaf.path === path);
  if (path !== '' && isNew && canBeText(schema, name)) leaves.push({ path, name, schema });
}

const isList: (value: JsonValue | undefined) => value is readonly JsonValue[] = Array.isArray;

const listOf = (value: JsonValue | undefined): readonly JsonValue[] => (isList(value) ? value : []);

/** Parts of a schema that hold only sometimes can have arguments, too. */
function branchesOf({ then, else: otherwise, dependentSchemas }: JsonObject): readonly JsonValue[] {
  const dependent = isJsonObject(dependentSchemas) ? Object.values(dependentSchemas) : [];
  return [then, otherwise, ...dependent].filter((branch) => branch !== undefined);
}

/** A number counts when its name says that it is the id of something. */
function canBeText(schema: Readonly<Record<string, JsonValue>>, name: string): boolean {
  const { type, enum: values, const: only } = schema;
  if (only !== undefined || (isList(values) && values.length <= MAX_ENUM)) return false;
  const types = isList(type) ? type : [type];
  if (types.some((each) => each === 'integer' || each === 'number') && isNumberOf(name)) return true;
  return types.some(
    (each) => each === undefined || each === 'string' || each === 'object' || each === 'array',
  );
}

const ADDRESS_FORMATS = [
  'email',
  'idn-email',
  'uri',
  'url',
  'iri',
  'uri-reference',
  'hostname',
  'ipv4',
  'ipv6',
];
/** Those that the encoding of arguments checks; what another format says of a text is the upstream's word. */
const PLAIN_FORMATS = ['date', 'date-time'];

const NUMBERED = new Set(['id', 'ids', 'uuid', 'key', 'account', 'iban', 'phone', 'recipient', 'recipients']);

/** `event_id`, `account`: a number that says which or who, not how many. */
function isNumberOf(name: string): boolean {
  const words = wordsOf(name);
  return NUMBERED.has(words.at(-1) ?? '') || (words.at(-1) === 'number' && words.length > 1);
}

function roleOf(name: string, schema: JsonValue): KeyArgument['kind'] | 'content' | undefined {
  const format = formatOf(schema);
  if (format !== undefined && ADDRESS_FORMATS.includes(format)) return 'address';
  if (format === 'uuid') return 'identifier';
  if (format !== undefined && PLAIN_FORMATS.includes(format)) return undefined;
  const words = wordsOf(name);
  const last = words.at(-1) ?? '';
  if (/[^ -~]/.test(name)) return 'address'; // letters that only look like others would hide what it is
  if (['id', 'ids', 'uuid', 'key', 'number', 'sha'].includes(last)) {
    // `user_id` and `channel_id` still say who is reached
    return words.some((word) => REACHED.has(word)) ? 'address' : 'identifier';
  }
  if (CONTENT_WORDS.has(last)) return 'content';
  if (DATES.has(last)) return undefined;
  if (words.some((word) => ADDRESS_WORDS.has(word))) return 'address';
  if (words.some((word) => IDENTIFIER_WORDS.has(word))) return 'identifier';
  if (COMPOUND.test(last)) return 'address';
  return 'content';
}

/** `toaddress`, `useremail`: words that were written as one. */
const COMPOUND = /^.+(?:address|email|recipient|recipients|account|username|webhook|url|iban)$/;

const REACHED = new Set([
  'recipient',
  'receiver',
  'payee',
  'beneficiary',
  'participant',
  'attendee',
  'contact',
  'user',
  'channel',
  'chat',
  'account',
  'to',
  'member',
  'assignee',
  'team',
]);
const DATES = new Set(['date', 'time', 'start', 'end', 'day', 'due', 'timezone', 'since', 'until', 'cursor']);
const URL_WORDS = [
  'url',
  'urls',
  'uri',
  'link',
  'href',
  'endpoint',
  'host',
  'hostname',
  'domain',
  'webhook',
  'website',
];

function isUrl(name: string, schema: JsonValue): boolean {
  const format = formatOf(schema);
  if (format !== undefined && ['uri', 'url', 'iri', 'hostname'].includes(format)) return true;
  return wordsOf(name).some((word) => URL_WORDS.includes(word));
}

function formatOf(schema: JsonValue): string | undefined {
  const format = isJsonObject(schema) ? schema['format'] : undefined;
  if (typeof format === 'string') return format.toLowerCase();
  const items = isJsonObject(schema) ? schema['items'] : undefined;
  return items === undefined ? undefined : formatOf(items);
}
