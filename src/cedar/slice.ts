import type { CedarValueJson, EntityJson } from '@cedar-policy/cedar-wasm/nodejs';
import { sha256 } from '../base/index.ts';
import { type ContextInput, contextOf, project } from './context.ts';
import type { Query, Unit } from './engine.ts';
import type { ActionModel, PolicyModel } from './model.ts';
import type { Policy } from './policy.ts';
import { type Principal, principalOf } from './principal.ts';
import { isRead, type Reads } from './reads.ts';
import { readsOfAll } from './reads-of-policies.ts';
import { sliceSchema } from './slice-schema.ts';
import { type EntityRef, entity } from './vocabulary.ts';

/**
 * Policies that are asked about together, and the least of a request that decides them. Whether a policy is
 * satisfied depends on that policy alone, so policies may be asked about in any grouping.
 */
export type Slice = {
  readonly policies: readonly Policy[];
  readonly reads: Reads;
  /** To read requests with, cut down to what is read. */
  readonly schema: Unit['schema'];
  /**
   * The policies as permits whose scope always matches: the engine then names every one that is satisfied,
   * forbids too, and the outcome follows from their effects. Made when it is first needed.
   */
  readonly unit: Unit;
  readonly action: EntityRef;
  readonly resource: EntityRef;
  readonly resourceEntity: readonly EntityJson[];
};

export function createSlice(model: PolicyModel, action: ActionModel, policies: readonly Policy[]): Slice {
  const reads = readsOfAll(policies);
  const isResourceSeen = reads.resourceItself || reads.hierarchy || isRead(reads.resource);
  const seen = reads.action ? action.action : 'any'; // what nobody looks at is the same for all, so that slices are
  const schema = sliceSchema(model, action, seen, reads);
  let unit: Unit | undefined;
  return {
    policies,
    reads,
    schema,
    get unit() {
      unit ??= unitOf(schema, policies);
      return unit;
    },
    action: entity('Action', seen),
    resource: isResourceSeen ? action.resource : { type: action.resource.type, id: 'any' },
    resourceEntity: resourceEntity(action, reads),
  };
}

function unitOf(schema: Unit['schema'], policies: readonly Policy[]): Unit {
  const texts = Object.fromEntries(policies.map((policy) => [policy.id, policy.asPermit]));
  return { id: sha256(JSON.stringify([schema, texts])), schema, policies: texts };
}

function resourceEntity(action: ActionModel, { resource, hierarchy }: Reads): EntityJson[] {
  if (!isRead(resource) && !hierarchy) return [];
  const attrs = project({ ...action.resourceAttributes }, resource) as Record<string, CedarValueJson>;
  return [{ uid: action.resource, attrs, parents: hierarchy ? [...action.resourceParents] : [] }];
}

/** What an evaluator is asked. */
export type Question = {
  readonly query: Query;
  /** A text that is equal for equal questions about units with one id. */
  key(): string;
};

/** Throws a `TypeError` or `RangeError` for facts that Cedar must not be given. */
export function ask(slice: Slice, input: ContextInput): Question {
  const { reads, action, resource, resourceEntity } = slice;
  const principal = principalOf(input.run);
  const context = contextOf(reads.context, input);
  const self = principalEntity(principal, reads);
  return {
    query: {
      principal: principal.uid,
      action,
      resource,
      context,
      entities: self === undefined ? [...resourceEntity] : [self, ...resourceEntity],
    },
    key() {
      const facts = [
        context,
        self === undefined ? null : [self.attrs, self.parents],
        reads.principalItself ? principal.uid.id : null,
        resource.id,
        resourceEntity,
      ];
      return `${slice.unit.id} ${JSON.stringify(facts)}`;
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
