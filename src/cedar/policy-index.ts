import type { ActionModel } from './model.ts';
import type { Policy } from './policy.ts';
import { actionsNamed, entityKey, matchesEntity, type Place, placeOf, principalsNamed } from './scope.ts';
import { entity } from './vocabulary.ts';

/**
 * Finds the policies whose scope matches. A policy whose scope does not match is neither satisfied nor in
 * error, so leaving it out changes nothing about a decision.
 */
export type PolicyIndex = {
  /** In the order of the set. */
  matching(action: ActionModel, principal: Place): readonly Policy[];
  /** Two principals of one class match the same scopes. */
  classOf(principal: Place): string;
};

export function createPolicyIndex(policies: readonly Policy[]): PolicyIndex {
  const order = new Map(policies.map((policy, i) => [policy, i]));
  const everyAction: Policy[] = [];
  const exactly = new Map<string, Policy[]>();
  const within = new Map<string, Policy[]>();
  for (const policy of policies) {
    const named = actionsNamed(policy.json.action);
    if (named === undefined) everyAction.push(policy);
    for (const { key, exact } of named ?? []) append(exact ? exactly : within, key, policy);
  }
  const principals = principalsNamed(policies.map((policy) => policy.json));
  const byAction = new Map<ActionModel, readonly Policy[]>();

  function onAction(action: ActionModel): readonly Policy[] {
    const known = byAction.get(action);
    if (known !== undefined) return known;
    const self = entityKey(entity('Action', action.action));
    const keys = [self, ...[...action.groups].map((group) => entityKey(entity('Action', group)))];
    const found = new Set([...everyAction, ...(exactly.get(self) ?? [])]);
    for (const policy of keys.flatMap((key) => within.get(key) ?? [])) found.add(policy);
    const resource = placeOf(action.resource, action.resourceParents);
    const matching = [...found]
      .filter((policy) => matchesEntity(policy.json.resource, resource))
      .sort((a, b) => (order.get(a) ?? 0) - (order.get(b) ?? 0));
    byAction.set(action, matching);
    return matching;
  }

  return {
    matching: (action, principal) => {
      return onAction(action).filter((policy) => matchesEntity(policy.json.principal, principal));
    },
    classOf: (principal) => [...principal.ancestors].filter((key) => principals.has(key)).join('\n\n'),
  };
}

function append(map: Map<string, Policy[]>, key: string, policy: Policy): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [policy]);
  else list.push(policy);
}
