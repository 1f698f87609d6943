import { isJsonObject, type JsonValue } from '../base/index.ts';
import type { KeyArgument } from './annotations.ts';
import { ADDRESS_WORDS, CONTENT_WORDS, IDENTIFIER_WORDS, wordsOf } from './tool-words.ts';

/** What the arguments of a tool are for, as far as their names and types say it. */
export type ArgumentRoles = {
  readonly keyArguments: readonly KeyArgument[];
  readonly contentArguments: readonly string[];
  /** Can a call name a place on a network? */
  readonly hasUrl: boolean;
};

const MAX_DEPTH = 4;
const MAX_ARGUMENTS = 128;
const MAX_ENUM = 1_000;

type Leaf = { readonly path: string; readonly name: string; readonly schema: JsonValue };

/** Reads a JSON Schema of arguments. A text whose name says nothing is content: it can carry anything. */
export function argumentRoles(inputSchema: JsonValue | undefined): ArgumentRoles {
  const leaves: Leaf[] = [];
  if (inputSchema !== undefined) collect(inputSchema, '', '', 0, leaves);
  const keyArguments: KeyArgument[] = [];
  const contentArguments: string[] = [];
  let hasUrl = false;
  for (const { path, name, schema } of leaves) {
    const kind = roleOf(name, schema);
    if (kind === 'content') contentArguments.push(path);
    else if (kind !== undefined) keyArguments.push({ path, kind });
    hasUrl ||= isUrl(name, schema);
  }
  return { keyArguments, contentArguments, hasUrl };
}

/** Text and lists of text, wherever they are; a dot leads into objects, and through lists of objects. */
function collect(schema: JsonValue, path: string, name: string, depth: number, leaves: Leaf[]): void {
  if (depth > MAX_DEPTH || leaves.length >= MAX_ARGUMENTS) return;
  if (!isJsonObject(schema)) {
    if (schema === true && path !== '') leaves.push({ path, name, schema });
    return;
  }
  const { properties, items, anyOf, oneOf, allOf } = schema;
  const before = leaves.length;
  for (const branch of [anyOf, oneOf, allOf].flatMap((list) => (isList(list) ? list : []))) {
    collect(branch, path, name, depth + 1, leaves);
  }
  if (isJsonObject(properties)) {
    for (const [key, member] of Object.entries(properties)) {
      collect(member, path === '' ? key : `${path}.${key}`, key, depth + 1, leaves);
    }
  }
  if (items !== undefined) collect(items, path, name, depth + 1, leaves);
  const isNew = leaves.length === before && !leaves.some((leaf) => leaf.path === path);
  if (path !== '' && isNew && canBeText(schema)) leaves.push({ path, name, schema });
}

const isList: (value: JsonValue | undefined) => value is readonly JsonValue[] = Array.isArray;

function canBeText(schema: Readonly<Record<string, JsonValue>>): boolean {
  const { type, enum: values, const: only } = schema;
  if (only !== undefined || (isList(values) && values.length <= MAX_ENUM)) return false;
  const types = isList(type) ? type : [type];
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
const PLAIN_FORMATS = ['date', 'date-time', 'time', 'duration', 'byte', 'regex'];

function roleOf(name: string, schema: JsonValue): KeyArgument['kind'] | 'content' | undefined {
  const format = formatOf(schema);
  if (format !== undefined && ADDRESS_FORMATS.includes(format)) return 'address';
  if (format === 'uuid') return 'identifier';
  if (format !== undefined && PLAIN_FORMATS.includes(format)) return undefined;
  const words = wordsOf(name);
  const last = words.at(-1) ?? '';
  if (['id', 'ids', 'uuid', 'key', 'number', 'sha'].includes(last)) {
    // `user_id` and `channel_id` still say who is reached
    return words.some((word) => REACHED.has(word)) ? 'address' : 'identifier';
  }
  if (CONTENT_WORDS.has(last)) return 'content';
  if (DATES.has(last)) return undefined;
  if (words.some((word) => ADDRESS_WORDS.has(word))) return 'address';
  if (words.some((word) => IDENTIFIER_WORDS.has(word))) return 'identifier';
  return 'content';
}

const REACHED = new Set([
  'recipient',
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
