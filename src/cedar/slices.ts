import type { Run } from '../identity/index.ts';
import type { ActionModel, PolicyModel } from './model.ts';
import type { Policy } from './policy.ts';
import { createPolicyIndex } from './policy-index.ts';
import { principalOf } from './principal.ts';
import { createSlice, type Slice } from './slice.ts';

/** Slices of a policy set, made when they are first needed. Their number is bounded by what policies name. */
export type Slices = {
  find(action: ActionModel, run: Run): Slice;
  /** Equal for runs that every policy's scope treats alike. */
  classOf(run: Run): string;
  /** Is there a permit that could apply, and no forbid that always does? */
  couldPermit(action: ActionModel, run: Run): boolean;
};

export function createSlices(policies: readonly Policy[], model: PolicyModel): Slices {
  const index = createPolicyIndex(policies);
  const slices = new Map<ActionModel, Map<string, Slice>>();
  const classes = new WeakMap<Run, string>();
  let count = 0;

  function classOf(run: Run): string {
    const known = classes.get(run);
    if (known !== undefined) return known;
    const found = index.classOf(principalOf(run).place);
    classes.set(run, found);
    return found;
  }

  return {
    classOf,
    find(action, run) {
      let ofAction = slices.get(action);
      if (ofAction === undefined) {
        ofAction = new Map();
        slices.set(action, ofAction);
      }
      const name = classOf(run);
      let slice = ofAction.get(name);
      if (slice === undefined) {
        slice = createSlice(
          `slice-${count++}`,
          model,
          action,
          index.matching(action, principalOf(run).place),
        );
        ofAction.set(name, slice);
      }
      return slice;
    },
    couldPermit(action, run) {
      const matching = index.matching(action, principalOf(run).place);
      return (
        matching.some((policy) => policy.effect === 'permit') &&
        !matching.some((policy) => policy.effect === 'forbid' && policy.isUnconditional)
      );
    },
  };
}
