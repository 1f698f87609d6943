import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

type Json = { readonly [name: string]: unknown };
type Attribute = {
  readonly requirement?: string;
  readonly enum?: Json;
  readonly type?: string;
  readonly object_type?: string;
  readonly is_array?: boolean;
  /** The profile that brings the attribute; null for one that is always there. */
  readonly profile?: string | null;
};
type Attributes = { [name: string]: Attribute };
type Definition = { readonly attributes: Attributes; readonly atLeastOne: readonly string[] };

/** The Open Cybersecurity Schema Framework as its repository has it, enough of it to check events. */
export type OcsfSchema = {
  readonly version: string;
  /** What is wrong with an event, each with its path; empty when it is valid. */
  problems(event: Json): string[];
};

/** Reads a checkout of ocsf-schema. */
export function readOcsfSchema(folder: string): OcsfSchema {
  const read = (path: string): Json => JSON.parse(readFileSync(join(folder, path), 'utf8')) as Json;
  const dictionary = read('dictionary.json')['attributes'] as Attributes;
  const types = ((read('dictionary.json')['types'] as Json)['attributes'] ?? {}) as {
    [name: string]: Attribute;
  };
  const categories = new Map(
    Object.entries(read('categories.json')['attributes'] as { [name: string]: { uid: number } }).map(
      ([name, { uid }]) => [name, uid],
    ),
  );
  const events = definitionsIn(folder, 'events');
  const objects = definitionsIn(folder, 'objects');

  function define(name: string, all: ReadonlyMap<string, Json>): Definition {
    const own = all.get(name);
    if (own === undefined) throw new Error(`the schema has no ${name}`);
    const above = typeof own['extends'] === 'string' ? all.get(own['extends']) : undefined;
    const base: Definition =
      above === undefined ? { attributes: {}, atLeastOne: [] } : define(String(own['extends']), all);
    const listed = (own['attributes'] ?? {}) as Attributes & { $include?: readonly string[] };
    const attributes: Attributes = { ...base.attributes };
    for (const path of listed.$include ?? []) {
      const included = read(path);
      const profile = included['meta'] === 'profile' ? String(included['name']) : null;
      const brought = Object.entries(included['attributes'] as Attributes).filter(
        ([key]) => key !== '$include',
      );
      merge(attributes, Object.fromEntries(brought.map(([key, value]) => [key, { ...value, profile }])));
    }
    merge(attributes, listed);
    const constraints = (own['constraints'] ?? {}) as { at_least_one?: readonly string[] };
    return { attributes, atLeastOne: constraints.at_least_one ?? base.atLeastOne };
  }

  function check(value: Json, definition: Definition, at: string, profiles: readonly string[]): string[] {
    const isOn = ({ profile }: Attribute): boolean =>
      typeof profile !== 'string' || profiles.includes(profile);
    const problems: string[] = [];
    for (const [name, attribute] of Object.entries(definition.attributes)) {
      if (attribute.requirement === 'required' && isOn(attribute) && value[name] === undefined)
        problems.push(`${at}${name}: is required`);
    }
    const { atLeastOne } = definition;
    if (atLeastOne.length > 0 && !atLeastOne.some((name) => value[name] !== undefined)) {
      problems.push(`${at}: needs one of ${atLeastOne.join(', ')}`);
    }
    for (const [name, member] of Object.entries(value)) {
      const known = definition.attributes[name];
      const entry = { ...dictionary[name], ...known, ...enumOf(name, known) };
      if (known === undefined || !isOn(known)) problems.push(`${at}${name}: is not an attribute here`);
      else problems.push(...checkMember(member, entry, `${at}${name}`, profiles));
    }
    return problems;
  }

  function enumOf(name: string, known: Attribute | undefined): Pick<Attribute, 'enum'> {
    if (name === 'class_uid' || name === 'category_uid') return { enum: {} }; // the class was found by them
    const values = { ...dictionary[name]?.enum, ...known?.enum };
    return Object.keys(values).length === 0 ? {} : { enum: values };
  }

  function checkMember(member: unknown, entry: Attribute, at: string, profiles: readonly string[]): string[] {
    if (entry.is_array === true) {
      if (!Array.isArray(member)) return [`${at}: must be an array`];
      return member.flatMap((each, i) =>
        checkMember(each, { ...entry, is_array: false }, `${at}.${i}`, profiles),
      );
    }
    const type = entry.type ?? 'object_t';
    if (objects.has(type)) {
      return typeof member === 'object' && member !== null
        ? check(member as Json, define(type, objects), `${at}.`, profiles)
        : [`${at}: must be an object`];
    }
    const base = types[type]?.type ?? type;
    if (['integer_t', 'long_t'].includes(base)) {
      const values = Object.keys(entry.enum ?? {});
      if (!Number.isSafeInteger(member)) return [`${at}: must be an integer`];
      return values.length > 0 && !values.includes(String(member))
        ? [`${at}: ${String(member)} is not in its enum`]
        : [];
    }
    if (base === 'boolean_t') return typeof member === 'boolean' ? [] : [`${at}: must be true or false`];
    return typeof member === 'string' ? [] : [`${at}: must be a string`];
  }

  return {
    version: String(read('version.json')['version']),
    problems(event) {
      const category = [...categories].find(([, uid]) => uid === event['category_uid'])?.[0];
      const found = [...events].find(([, { uid, folder: of }]) => of === category && isClass(uid, event));
      const profiles = (event['metadata'] as { profiles?: readonly string[] } | undefined)?.profiles ?? [];
      if (found === undefined) return ['class_uid: the schema has no such class'];
      return check(event, define(found[0], events), '', profiles);
    },
  };
}

/** `class_uid` is the category's number in thousands and the class's own; `type_uid` adds the activity. */
function isClass(uid: unknown, event: Json): boolean {
  const classUid = Number(event['category_uid']) * 1000 + Number(uid);
  return (
    event['class_uid'] === classUid && event['type_uid'] === classUid * 100 + Number(event['activity_id'])
  );
}

function merge(into: Attributes, more: Attributes): void {
  for (const [name, attribute] of Object.entries(more)) {
    if (name === '$include') continue;
    const before = into[name];
    const values =
      before?.enum === undefined && attribute.enum === undefined
        ? {}
        : { enum: { ...before?.enum, ...attribute.enum } };
    into[name] = { ...before, ...attribute, ...values };
  }
}

function definitionsIn(folder: string, kind: string): Map<string, Json> {
  const found = new Map<string, Json>();
  for (const entry of readdirSync(join(folder, kind), { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith('.json')) continue;
    const definition = JSON.parse(readFileSync(join(entry.parentPath, entry.name), 'utf8')) as Json;
    const category = entry.parentPath.split('/').at(-1);
    if (typeof definition['name'] === 'string')
      found.set(definition['name'], { ...definition, folder: category });
  }
  return found;
}
