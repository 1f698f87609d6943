import type { Run } from '../identity/index.ts';
import type { ActionModel, PolicyModel } from './model.ts';
import type { Policy } from './policy.ts';
import { createPolicyIndex } from './policy-index.ts';
import { principalOf } from './principal.ts';
import { type Pace, paceOf, readsOf } from './reads.ts';
import { createSlice, type Slice } from './slice.ts';

/** The policies that can matter for one action, resource and class of principals. */
export type Candidates = {
  readonly policies: readonly Policy[];
  /** Without a permit there is nothing to ask the engine. */
  readonly hasPermit: boolean;
  /** Does a forbid match whatever the request says, and no approval lifts it? */
  readonly isForbidden: boolean;
  /**
   * Split by how often what they read changes, so that a rule about the run is not asked about again because
   * an argument differs.
   */
  readonly slices: readonly Slice[];
};

/** Candidates of a policy set, found when they are first needed. Their number is bounded by what policies name. */
export type Slices = {
  find(action: ActionModel, run: Run): Candidates;
  /** Equal for runs that every policy's scope treats alike. */
  classOf(run: Run): string;
};

export function createSlices(policies: readonly Policy[], model: PolicyModel): Slices {
  const index = createPolicyIndex(policies);
  const paces = new Map(policies.map((policy) => [policy, paceOf(readsOf([policy.json]))]));
  const candidates = new Map<ActionModel, Map<string, Candidates>>();
  const classes = new WeakMap<Run, string>();

  function classOf(run: Run): string {
    const known = classes.get(run);
    if (known !== undefined) return known;
    const found = index.classOf(principalOf(run).place);
    classes.set(run, found);
    return found;
  }

  function collect(action: ActionModel, run: Run): Candidates {
    const matching = index.matching(action, principalOf(run).place);
    const byPace = Map.groupBy(matching, (policy): Pace => paces.get(policy) ?? 'call');
    let slices: Slice[] | undefined;
    return {
      policies: matching,
      hasPermit: matching.some((policy) => policy.effect === 'permit'),
      isForbidden: matching.some(
        (policy) => policy.effect === 'forbid' && policy.isUnconditional && !policy.needsApproval,
      ),
      get slices() {
        slices ??= [...byPace.values()].map((group) => createSlice(model, action, group));
        return slices;
      },
    };
  }

  return {
    classOf,
    find(action, run) {
      let ofAction = candidates.get(action);
      if (ofAction === undefined) {
        ofAction = new Map();
        candidates.set(action, ofAction);
      }
      const name = classOf(run);
      let found = ofAction.get(name);
      if (found === undefined) {
        found = collect(action, run);
        ofAction.set(name, found);
      }
      return found;
    },
  };
}
