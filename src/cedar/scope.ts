import type {
  ActionConstraint,
  EntityUidJson,
  PolicyJson,
  PrincipalConstraint,
  ResourceConstraint,
} from '@cedar-policy/cedar-wasm/nodejs';
import type { EntityRef } from './vocabulary.ts';

/** An entity and all its ancestors, itself included, as `entityKey`s. */
export type Place = { readonly type: string; readonly self: string; readonly ancestors: ReadonlySet<string> };

export function entityKey({ type, id }: EntityRef): string {
  return `${type}\n${id}`; // a type name has no line feed
}

export function placeOf(uid: EntityRef, ancestors: readonly EntityRef[]): Place {
  const self = entityKey(uid);
  return { type: uid.type, self, ancestors: new Set([self, ...ancestors.map(entityKey)]) };
}

export function uidOf(uid: EntityUidJson): EntityRef {
  return '__entity' in uid ? uid.__entity : uid;
}

/** Cedar's evaluation of a `principal` or `resource` scope, which cannot err. Policies have no slots here. */
export function matchesEntity(constraint: PrincipalConstraint | ResourceConstraint, place: Place): boolean {
  switch (constraint.op) {
    case 'All':
      return true;
    case '==':
      return 'entity' in constraint && entityKey(uidOf(constraint.entity)) === place.self;
    case 'in':
      return 'entity' in constraint && place.ancestors.has(entityKey(uidOf(constraint.entity)));
    case 'is':
      if (constraint.entity_type !== place.type) return false;
      return constraint.in === undefined || matchesEntity({ op: 'in', ...constraint.in }, place);
  }
}

/** The entities an `action` scope names; undefined when it takes every action. `==` matches only the action itself. */
export function actionsNamed(
  constraint: ActionConstraint,
): readonly { key: string; exact: boolean }[] | undefined {
  switch (constraint.op) {
    case 'All':
      return undefined;
    case '==':
      return 'entity' in constraint ? [{ key: entityKey(uidOf(constraint.entity)), exact: true }] : [];
    case 'in': {
      const entities = 'entities' in constraint ? constraint.entities : [constraint.entity];
      return entities.map((entity) => ({ key: entityKey(uidOf(entity)), exact: false }));
    }
  }
}

/** Entities of a type that a set of policies names in principal scopes: only these can make two runs differ. */
export function principalsNamed(policies: Iterable<PolicyJson>): ReadonlySet<string> {
  const named = new Set<string>();
  for (const { principal } of policies) {
    if ('entity' in principal) named.add(entityKey(uidOf(principal.entity)));
    if (principal.op === 'is' && principal.in !== undefined && 'entity' in principal.in) {
      named.add(entityKey(uidOf(principal.in.entity)));
    }
  }
  return named;
}
