import {
  type Conditions,
  compileConditions,
  createRequestReader,
  createSieve,
  firstTestOf,
  NotRepresented,
  type RequestReader,
} from './compiled/index.ts';
import type { ContextInput } from './context.ts';
import type { Findings } from './interpret.ts';
import type { ActionModel, PolicyModel } from './model.ts';
import type { Policy } from './policy.ts';
import { ask, createSlice, type Slice } from './slice.ts';

/** Policies that are decided without the engine. */
export type CompiledSlice = {
  readonly policies: readonly Policy[];
  /** Undefined for a request that only Cedar can read. */
  evaluate(input: ContextInput): Findings | undefined;
};

/** Policies of one action, told apart by who can decide them. */
export type Division = { readonly compiled: CompiledSlice; readonly rest: readonly Policy[] };

const known = new WeakMap<Policy, Conditions | false>();

/** The conditions of a policy as a function, made once; undefined for those that only Cedar can evaluate. */
export function conditionsOf(policy: Policy): Conditions | undefined {
  let conditions = known.get(policy);
  if (conditions === undefined) {
    conditions = compileConditions(policy.json.conditions) ?? false;
    known.set(policy, conditions);
  }
  return conditions === false ? undefined : conditions;
}

/** Compiles what can be compiled exactly, and says what is left for Cedar itself. */
export function divide(model: PolicyModel, action: ActionModel, policies: readonly Policy[]): Division {
  const able = policies.filter((policy) => conditionsOf(policy) !== undefined);
  const readable = canReadFor(model, action, able)
    ? able
    : able.filter((policy) => canReadFor(model, action, [policy]));
  const chosen = new Set(readable);
  return {
    compiled: compileSlice(createSlice(model, action, readable)),
    rest: policies.filter((policy) => !chosen.has(policy)),
  };
}

/** Does all that the policies read have types whose values are held exactly? */
function canReadFor(model: PolicyModel, action: ActionModel, policies: readonly Policy[]): boolean {
  try {
    readerOf(createSlice(model, action, policies));
    return true;
  } catch (error) {
    if (error instanceof NotRepresented) return false;
    throw error;
  }
}

function readerOf({ schema, action }: Slice): RequestReader {
  return createRequestReader(schema, action);
}

function compileSlice(slice: Slice): CompiledSlice {
  const read = readerOf(slice);
  const programs = slice.policies.flatMap((policy) => {
    const holds = conditionsOf(policy);
    return holds === undefined ? [] : [{ policy, holds }];
  });
  const sieve = createSieve(programs.map(({ policy }) => firstTestOf(policy.json.conditions)));
  return {
    policies: slice.policies,
    evaluate(input) {
      try {
        const environment = read(ask(slice, input).query);
        const satisfied: Policy[] = [];
        const errors: string[] = [];
        for (const at of sieve(environment)) {
          const program = programs[at];
          if (program === undefined) continue;
          const { policy, holds } = program;
          const found = holds(environment);
          if (found === true) satisfied.push(policy);
          else if (found !== false) errors.push(`${policy.id}: ${found}`);
        }
        return { satisfied, errors };
      } catch (error) {
        if (error instanceof NotRepresented) return undefined;
        throw error;
      }
    },
  };
}
