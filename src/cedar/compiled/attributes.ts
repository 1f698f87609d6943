import type { Entity, Environment } from './environment.ts';
import { EvaluationError } from './outcome.ts';
import { asEntities, asEntity, asOwner, asString, type EntityUid, type Value } from './value.ts';

/** `owner.name` */
export function getAttribute(value: Value, name: string, environment: Environment): Value {
  const owner = asOwner(value);
  if (owner.tag === 'record') {
    const member = owner.members.get(name);
    if (member !== undefined) return member;
    throw new EvaluationError(`record does not have the attribute \`${name}\``);
  }
  const attribute = existing(owner, environment).attributes.get(name);
  if (attribute !== undefined) return attribute;
  throw new EvaluationError(`\`${shown(owner)}\` does not have the attribute \`${name}\``);
}

/** `owner has name`; an entity that does not exist has nothing. */
export function hasAttribute(value: Value, name: string, { entities }: Environment): boolean {
  const owner = asOwner(value);
  if (owner.tag === 'record') return owner.members.has(name);
  return entities.get(owner.key)?.attributes.has(name) ?? false;
}

/** `owner has a.b.c`: stops at the first that is missing. */
export function hasPath(value: Value, names: readonly string[], environment: Environment): boolean {
  let owner = value;
  for (const [i, name] of names.entries()) {
    if (!hasAttribute(owner, name, environment)) return false;
    if (i < names.length - 1) owner = getAttribute(owner, name, environment);
  }
  return true;
}

/** `owner.getTag(name)` */
export function getTag(owner: Value, name: Value, environment: Environment): Value {
  const uid = asEntity(owner);
  const tag = asString(name);
  const value = existing(uid, environment).tags.get(tag);
  if (value !== undefined) return value;
  throw new EvaluationError(`\`${shown(uid)}\` does not have the tag \`${tag}\``);
}

/** `owner.hasTag(name)` */
export function hasTag(owner: Value, name: Value, { entities }: Environment): boolean {
  const uid = asEntity(owner);
  const tag = asString(name);
  return entities.get(uid.key)?.tags.has(tag) ?? false;
}

/** `member in groups`: everything is in itself, and what does not exist is in nothing else. */
export function isIn(member: Value, groups: Value, { entities }: Environment): boolean {
  const { key } = asEntity(member);
  const ancestors = entities.get(key)?.ancestors;
  return asEntities(groups).some((group) => group.key === key || ancestors?.has(group.key) === true);
}

function existing(uid: EntityUid, { entities }: Environment): Entity {
  const entity = entities.get(uid.key);
  if (entity === undefined) throw new EvaluationError(`entity \`${shown(uid)}\` does not exist`);
  return entity;
}

function shown({ type, id }: EntityUid): string {
  return `${type}::${JSON.stringify(id)}`;
}
