import type { CedarValueJson, EntityJson } from '@cedar-policy/cedar-wasm/nodejs';
import { type ContextInput, contextOf, project } from './context.ts';
import type { Query, Unit } from './engine.ts';
import type { ActionModel, PolicyModel } from './model.ts';
import type { Policy } from './policy.ts';
import { type Principal, principalOf } from './principal.ts';
import { isRead, type Reads, readsOf } from './reads.ts';
import { sliceSchema } from './slice-schema.ts';
import { entity } from './vocabulary.ts';

/**
 * The policies that can matter for one action, resource and class of principals, and the least of a request
 * that decides them.
 */
export type Slice = {
  readonly action: ActionModel;
  readonly policies: readonly Policy[];
  /** Without a permit there is nothing to ask the engine. */
  readonly hasPermit: boolean;
  readonly reads: Reads;
  readonly unit: Unit;
  /** The same without the forbids that an approval would lift; undefined when there are none. */
  readonly approved: Unit | undefined;
  readonly resource: readonly EntityJson[];
};

/** `id` must be unique within the engine that the slice is for. */
export function createSlice(
  id: string,
  model: PolicyModel,
  action: ActionModel,
  policies: readonly Policy[],
): Slice {
  const reads = readsOf(policies.map((policy) => policy.json));
  const schema = sliceSchema(model, action, reads);
  const toUnit = (unitId: string, members: readonly Policy[]): Unit => {
    return { id: unitId, schema, policies: Object.fromEntries(members.map((one) => [one.id, one.unscoped])) };
  };
  const unapproved = policies.filter((policy) => !policy.needsApproval);
  return {
    action,
    policies,
    hasPermit: policies.some((policy) => policy.effect === 'permit'),
    reads,
    unit: toUnit(id, policies),
    approved: unapproved.length === policies.length ? undefined : toUnit(`${id}+approval`, unapproved),
    resource: resourceEntity(action, reads),
  };
}

function resourceEntity(action: ActionModel, { resource, hierarchy }: Reads): EntityJson[] {
  if (!isRead(resource) && !hierarchy) return [];
  const attrs = project({ ...action.resourceAttributes }, resource) as Record<string, CedarValueJson>;
  return [{ uid: action.resource, attrs, parents: hierarchy ? [...action.resourceParents] : [] }];
}

/** A question to the engine, and a text that is equal for equal questions about one slice. */
export type Question = { readonly query: Query; readonly key: string };

/** Throws a `TypeError` or `RangeError` for facts that Cedar must not be given. */
export function ask(slice: Slice, input: ContextInput): Question {
  const { reads, action } = slice;
  const principal = principalOf(input.run);
  const context = contextOf(reads.context, input);
  const self = principalEntity(principal, reads);
  const seen = self && (reads.principalItself ? self : { attrs: self.attrs, parents: self.parents });
  const key = JSON.stringify([context, seen ?? (reads.principalItself ? principal.uid.id : null)]);
  const entities = self === undefined ? [...slice.resource] : [self, ...slice.resource];
  return {
    key,
    query: {
      principal: principal.uid,
      action: entity('Action', action.action),
      resource: action.resource,
      context,
      entities,
    },
  };
}

function principalEntity(
  principal: Principal,
  { principal: read, hierarchy }: Reads,
): EntityJson | undefined {
  if (!isRead(read) && !hierarchy) return undefined;
  const attrs = project({ ...principal.attributes }, read) as Record<string, CedarValueJson>;
  return { uid: principal.uid, attrs, parents: hierarchy ? principal.parents : [] };
}
