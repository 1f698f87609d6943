import type { Policy } from './policy.ts';
import { nothing, type ReadNode, type Reads, readsOf } from './reads.ts';

const known = new WeakMap<Policy, Reads>();

/** What one policy reads; found out once. */
export function readsOfPolicy(policy: Policy): Reads {
  let reads = known.get(policy);
  if (reads === undefined) {
    reads = readsOf([policy.json]);
    known.set(policy, reads);
  }
  return reads;
}

/** What some policies read between them. */
export function readsOfAll(policies: readonly Policy[]): Reads {
  const all: Reads = readsOf([]);
  for (const policy of policies) {
    const reads = readsOfPolicy(policy);
    addTo(all.context, reads.context);
    addTo(all.principal, reads.principal);
    addTo(all.resource, reads.resource);
    all.principalItself ||= reads.principalItself;
    all.resourceItself ||= reads.resourceItself;
    all.action ||= reads.action;
    all.hierarchy ||= reads.hierarchy;
  }
  return all;
}

function addTo(all: ReadNode, node: ReadNode): void {
  all.whole ||= node.whole;
  for (const [name, child] of node.children) {
    let same = all.children.get(name);
    if (same === undefined) {
      same = nothing();
      all.children.set(name, same);
    }
    addTo(same, child);
  }
}
