import type { Run } from '../identity/index.ts';
import { type CompiledSlice, divide } from './compiled-slice.ts';
import type { ActionModel, PolicyModel } from './model.ts';
import type { Policy } from './policy.ts';
import { createPolicyIndex } from './policy-index.ts';
import { principalOf } from './principal.ts';
import { paceOf } from './reads.ts';
import { readsOfPolicy } from './reads-of-policies.ts';
import { createSlice, type Slice } from './slice.ts';

/** The policies that can matter for one action, resource and class of principals. */
export type Candidates = {
  readonly policies: readonly Policy[];
  /** Without a permit there is nothing to ask the engine. */
  readonly hasPermit: boolean;
  /** Does a forbid match whatever the request says, and no approval lifts it? */
  readonly isForbidden: boolean;
  /** Those that are decided without the engine. */
  readonly compiled: CompiledSlice;
  /** Those that are not, for the engine, split like `slices`. */
  readonly rest: readonly Slice[];
  /**
   * All of them for the engine, split by how often what they read changes, so that a rule about the run is not
   * asked about again because an argument differs.
   */
  readonly slices: readonly Slice[];
  /** The compiled ones again for the engine, a few at a time. */
  readonly shadows: readonly Slice[];
};

/** Parsing them at their first use takes some 3 ms. */
const POLICIES_IN_SHADOW = 8;

/** Candidates of a policy set, found when they are first needed. Their number is bounded by what policies name. */
export type Slices = {
  find(action: ActionModel, run: Run): Candidates;
  /** Equal for runs that every policy's scope treats alike. */
  classOf(run: Run): string;
};

export function createSlices(policies: readonly Policy[], model: PolicyModel): Slices {
  const index = createPolicyIndex(policies);
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
    const slicesOf = (group: readonly Policy[]) => createSlice(model, action, group);
    const byPace = (group: readonly Policy[]) => {
      const paces = Map.groupBy(group, (policy) => paceOf(readsOfPolicy(policy)));
      return [...paces.values()].map(slicesOf);
    };
    const division = once(() => divide(model, action, matching));
    const rest = once(() => byPace(division().rest));
    const slices = once(() => byPace(matching));
    const shadows = once(() => inGroupsOf(POLICIES_IN_SHADOW, division().compiled.policies).map(slicesOf));
    return {
      policies: matching,
      hasPermit: matching.some((policy) => policy.effect === 'permit'),
      isForbidden: matching.some(
        (policy) => policy.effect === 'forbid' && policy.isUnconditional && !policy.needsApproval,
      ),
      get compiled() {
        return division().compiled;
      },
      get rest() {
        return rest();
      },
      get slices() {
        return slices();
      },
      get shadows() {
        return shadows();
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

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

function inGroupsOf<T>(size: number, items: readonly T[]): T[][] {
  const count = Math.ceil(items.length / size);
  return Array.from({ length: count }, (_, i) => items.slice(i * size, (i + 1) * size));
}
