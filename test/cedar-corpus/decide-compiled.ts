import type { PolicyJson, SchemaJson } from '@cedar-policy/cedar-wasm/nodejs';
import {
  compileConditions,
  createRequestReader,
  type Environment,
  NotRepresented,
  type RequestJson,
} from '../../src/cedar/compiled/index.ts';
import { actionsNamed, entityKey, matchesEntity, type Place } from '../../src/cedar/scope.ts';

/** A decision in the form the corpus has it: ids of policies, sorted. */
export type Outcome = {
  readonly decision: 'allow' | 'deny';
  readonly reason: readonly string[];
  readonly errors: readonly string[];
};

/** Decides with the compiled evaluator alone; undefined when it hands the request to Cedar. */
export function decideCompiled(
  policies: ReadonlyMap<string, PolicyJson>,
  schema: SchemaJson<string>,
  request: RequestJson,
): Outcome | undefined {
  try {
    const environment = createRequestReader(schema, request.action)(request);
    const satisfied = { permit: [] as string[], forbid: [] as string[] };
    const errors: string[] = [];
    for (const [id, policy] of policies) {
      if (!matchesScope(policy, environment)) continue;
      const conditions = compileConditions(policy.conditions);
      if (conditions === undefined) return undefined;
      const holds = conditions(environment);
      if (typeof holds === 'string') errors.push(id);
      else if (holds) satisfied[policy.effect].push(id);
    }
    const { permit, forbid } = satisfied;
    const isAllowed = forbid.length === 0 && permit.length > 0;
    return {
      decision: isAllowed ? 'allow' : 'deny',
      reason: (forbid.length > 0 ? forbid : permit).sort(),
      errors: errors.sort(),
    };
  } catch (error) {
    if (error instanceof NotRepresented) return undefined;
    throw error;
  }
}

function matchesScope({ principal, action, resource }: PolicyJson, environment: Environment): boolean {
  const named = actionsNamed(action);
  const { self, ancestors } = placeOf(environment, 'action');
  const isAction = ({ key, exact }: { key: string; exact: boolean }) => {
    return exact ? key === self : ancestors.has(key);
  };
  return (
    (named === undefined || named.some(isAction)) &&
    matchesEntity(principal, placeOf(environment, 'principal')) &&
    matchesEntity(resource, placeOf(environment, 'resource'))
  );
}

function placeOf(environment: Environment, variable: 'principal' | 'action' | 'resource'): Place {
  const uid = environment[variable];
  const self = entityKey(uid);
  return {
    type: uid.type,
    self,
    ancestors: new Set([self, ...(environment.entities.get(self)?.ancestors ?? [])]),
  };
}
