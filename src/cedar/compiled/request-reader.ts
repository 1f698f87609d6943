import type { EntityJson, EntityUidJson, SchemaJson, TypeAndId } from '@cedar-policy/cedar-wasm/nodejs';
import type { Entity, Environment } from './environment.ts';
import { NotRepresented } from './outcome.ts';
import { type EntityUid, entityUid, type RecordValue, type Value } from './value.ts';
import { membersOf, readerOf, readerOfRecord, type TypeScope, type ValueReader } from './value-reader.ts';

/** A request in Cedar's JSON format. */
export type RequestJson = {
  readonly principal: TypeAndId;
  readonly action: TypeAndId;
  readonly resource: TypeAndId;
  readonly context: unknown;
  readonly entities: readonly EntityJson[];
};

/** Checks a request against a schema as Cedar does and reads it. Throws `NotRepresented` for every doubt. */
export type RequestReader = (request: RequestJson) => Environment;

/**
 * A reader of requests for one action. Throws `NotRepresented` when the schema has types whose values this
 * evaluator does not hold.
 */
export function createRequestReader(schema: SchemaJson<string>, action: TypeAndId): RequestReader {
  const namespace = action.type === 'Action' ? '' : action.type.slice(0, -'::Action'.length);
  const scope = { schema, namespace };
  const declared = membersOf(schema[namespace]?.actions[action.id]);
  const appliesTo = membersOf(declared['appliesTo']);
  const principals = typeNames(appliesTo['principalTypes'], scope);
  const resources = typeNames(appliesTo['resourceTypes'], scope);
  const readContext = readerOfRecord(appliesTo['context'] ?? { type: 'Record', attributes: {} }, scope);
  const entityReaders = new Map(
    entityTypesOf(schema).map(([type, json, in_]) => [type, entityReader(json, in_)]),
  );
  const actions = actionEntities(schema);
  const uid = entityUid(action.type, action.id);
  return ({ principal, action: asked, resource, context, entities }) => {
    if (asked.type !== uid.type || asked.id !== uid.id) throw new NotRepresented('another action');
    return {
      principal: readVariable(principal, principals, schema),
      action: uid,
      resource: readVariable(resource, resources, schema),
      context: readContext(context),
      entities: readEntities(entities, entityReaders, actions),
    };
  };
}

function typeNames(names: unknown, { schema, namespace }: TypeScope): ReadonlySet<string> {
  if (!Array.isArray(names)) throw new NotRepresented('an action that applies to nothing');
  const declared = new Set(entityTypesOf(schema).map(([type]) => type));
  return new Set(
    (names as string[]).map((name) =>
      declared.has(`${namespace}::${name}`) ? `${namespace}::${name}` : name,
    ),
  );
}

function readVariable(
  { type, id }: TypeAndId,
  types: ReadonlySet<string>,
  schema: SchemaJson<string>,
): EntityUid {
  if (!types.has(type) || !id.isWellFormed()) throw new NotRepresented('an entity the action does not take');
  const at = type.lastIndexOf('::');
  const declared = schema[at < 0 ? '' : type.slice(0, at)]?.entityTypes[at < 0 ? type : type.slice(at + 2)];
  const { enum: values } = membersOf(declared);
  if (Array.isArray(values) && !values.includes(id))
    throw new NotRepresented('not an entity of a closed list');
  return entityUid(type, id);
}

type Declared = readonly [type: string, json: Record<string, unknown>, scope: TypeScope];

function entityTypesOf(schema: SchemaJson<string>): Declared[] {
  return Object.entries(schema).flatMap(([namespace, { entityTypes }]) =>
    Object.entries(entityTypes).map(([name, json]): Declared => {
      return [namespace === '' ? name : `${namespace}::${name}`, membersOf(json), { schema, namespace }];
    }),
  );
}

type EntityReader = {
  /** Of a closed list. Such entities have neither attributes nor parents. */
  readonly values: ReadonlySet<string> | undefined;
  readonly parents: ReadonlySet<string>;
  readonly readShape: (json: unknown) => RecordValue;
  readonly readTag: ValueReader | undefined;
};

/** Types are looked at when an entity of them is first read: most are only named. */
function entityReader(json: Record<string, unknown>, scope: TypeScope): () => EntityReader {
  let made: EntityReader | undefined;
  return () => {
    made ??= {
      values: Array.isArray(json['enum']) ? new Set(json['enum'] as string[]) : undefined,
      parents: typeNames(json['memberOfTypes'] ?? [], scope),
      readShape: readerOfRecord(json['shape'] ?? { type: 'Record', attributes: {} }, scope),
      readTag: json['tags'] === undefined ? undefined : readerOf(json['tags'], scope),
    };
    return made;
  };
}

const NO_TAGS: ReadonlyMap<string, Value> = new Map();

type Read = Entity & { readonly parents: readonly string[] };

function readEntities(
  entities: readonly EntityJson[],
  readers: ReadonlyMap<string, () => EntityReader>,
  actions: ReadonlyMap<string, Entity>,
): ReadonlyMap<string, Entity> {
  const read = new Map<string, Read>();
  for (const json of entities) {
    const { type, id } = uidOf(json.uid);
    const reader = readers.get(type)?.();
    const { key } = entityUid(type, id);
    if (reader === undefined || read.has(key))
      throw new NotRepresented('an entity that is not declared or twice');
    if (reader.values?.has(id) === false) throw new NotRepresented('not an entity of a closed list');
    read.set(key, readEntity(json, reader));
  }
  const all = new Map<string, Entity>(actions);
  for (const [key, entity] of read) {
    const ancestors = ancestorsOf(entity, read);
    if (ancestors.has(key)) throw new NotRepresented('entities in a circle');
    all.set(key, { attributes: entity.attributes, tags: entity.tags, ancestors });
  }
  return all;
}

function readEntity(json: EntityJson, { parents, readShape, readTag }: EntityReader): Read {
  const { attrs, parents: given, tags = {} } = json;
  return {
    attributes: readShape(attrs).members,
    tags: readTags(tags, readTag),
    ancestors: new Set(),
    parents: given.map((parent) => {
      const { type, id } = uidOf(parent);
      if (!parents.has(type)) throw new NotRepresented('a parent of a type that is not declared');
      return entityUid(type, id).key;
    }),
  };
}

function readTags(tags: object, read: ValueReader | undefined): ReadonlyMap<string, Value> {
  const entries = Object.entries(tags);
  if (entries.length === 0) return NO_TAGS;
  if (read === undefined) throw new NotRepresented('tags that are not declared');
  return new Map(entries.map(([name, value]) => [name, read(value)]));
}

function ancestorsOf({ parents }: Read, entities: ReadonlyMap<string, Read>): ReadonlySet<string> {
  const found = new Set(parents);
  for (const key of found) {
    for (const parent of entities.get(key)?.parents ?? []) found.add(parent); // a set may grow while it is walked
  }
  return found;
}

function uidOf(json: EntityUidJson): TypeAndId {
  const { type, id } = '__entity' in json ? json.__entity : json;
  if (typeof type !== 'string' || typeof id !== 'string' || !id.isWellFormed()) {
    throw new NotRepresented('an entity of an unknown form');
  }
  return { type, id };
}

/** Cedar takes the hierarchy of actions from the schema. */
function actionEntities(schema: SchemaJson<string>): ReadonlyMap<string, Entity> {
  const parents = new Map<string, readonly string[]>();
  for (const [namespace, { actions }] of Object.entries(schema)) {
    const type = namespace === '' ? 'Action' : `${namespace}::Action`;
    for (const [id, { memberOf }] of Object.entries(actions)) {
      const groups = (memberOf ?? []).map((group) => entityUid(group.type ?? type, group.id).key);
      parents.set(entityUid(type, id).key, groups);
    }
  }
  const entities = new Map<string, Entity>();
  for (const key of parents.keys()) {
    const ancestors = new Set(parents.get(key));
    for (const group of ancestors) for (const parent of parents.get(group) ?? []) ancestors.add(parent);
    entities.set(key, { attributes: NO_TAGS, tags: NO_TAGS, ancestors });
  }
  return entities;
}
