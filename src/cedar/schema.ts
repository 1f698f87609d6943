import type { ActionType, EntityType, SchemaJson } from '@cedar-policy/cedar-wasm/nodejs';
import { type CedarRecord, NAMESPACE, toCedarRecord } from './arg-types.ts';
import type { Catalogue } from './catalogue.ts';
import { type Cedar, loadCedar } from './cedar-wasm.ts';
import { type ActionModel, createModel, type PolicyModel } from './model.ts';
import {
  COMMON_TYPES,
  ENTITY_TYPES,
  METHOD_CONTEXT,
  METHOD_GROUPS,
  qualified,
  recordOf,
  toolContext,
} from './vocabulary.ts';

/**
 * The schema that policies are validated against. Every group can be applied by itself, so that a policy about
 * a group is legal while nothing is in it, and may read only what everything in it has.
 */
export function schemaForPolicies(model: PolicyModel): SchemaJson<string> {
  const actions: Record<string, ActionType<string>> = {};
  for (const [group, parents] of model.groups) {
    const isOfMethods = Object.hasOwn(METHOD_GROUPS, group);
    actions[group] = {
      ...memberOf(parents),
      ...(isOfMethods
        ? appliesTo(qualified('Upstream'), METHOD_CONTEXT)
        : appliesTo(qualified('Tool'), toolContext(recordOf({})))),
    };
  }
  for (const { tools, methods } of model.upstreams.values()) {
    for (const action of [...tools.values(), ...methods.values()]) {
      actions[action.action] = {
        ...memberOf(action.parents),
        ...appliesTo(action.resource.type, contextForPolicies(action)),
      };
    }
  }
  return {
    [NAMESPACE]: {
      commonTypes: { ...COMMON_TYPES, MethodContext: withNames(METHOD_CONTEXT) },
      entityTypes: { ...standardTypes(), ...enumTypes(model) },
      actions,
    },
  };
}

/** The same in Cedar's schema syntax, for people to read. */
export function schemaText(catalogue: Catalogue, cedar: Cedar = loadCedar()): string {
  const answer = cedar.schemaToText(schemaForPolicies(createModel(catalogue)));
  if (answer.type === 'failure') throw new TypeError(answer.errors.map((error) => error.message).join('; '));
  return answer.text;
}

/** Policies may read a required argument without `has`. */
function contextForPolicies({ args, context }: ActionModel): CedarRecord {
  return args === undefined ? context : toolContext(toCedarRecord(args, 'declared'));
}

export function memberOf(groups: readonly string[]): Pick<ActionType<string>, 'memberOf'> {
  return groups.length === 0 ? {} : { memberOf: groups.map((id) => ({ id })) };
}

function appliesTo(resourceType: string, context: CedarRecord): Pick<ActionType<string>, 'appliesTo'> {
  return {
    appliesTo: {
      principalTypes: [qualified('AgentRun')],
      resourceTypes: [resourceType],
      context: context === METHOD_CONTEXT ? { type: 'MethodContext' } : withNames(context),
    },
  };
}

/** Records that have a name in the schema are referred to by it: shorter to read, and much faster to parse. */
function withNames(context: CedarRecord): CedarRecord {
  const attributes = Object.entries(context.attributes).map(([attribute, type]) => {
    const name = NAMES.get(type);
    return [attribute, name === undefined ? type : { type: name }] as const;
  });
  return recordOf(Object.fromEntries(attributes));
}

const NAMES = new Map<unknown, string>(Object.entries(COMMON_TYPES).map(([name, type]) => [type, name]));

function standardTypes(): Record<string, EntityType<string>> {
  return Object.fromEntries(
    Object.entries(ENTITY_TYPES).map(([name, { parents, attributes }]) => [
      name,
      { memberOfTypes: [...parents], shape: recordOf(attributes) },
    ]),
  );
}

function enumTypes({ enums }: PolicyModel): Record<string, EntityType<string>> {
  return Object.fromEntries([...enums].map(([name, values]) => [name, enumType(values)]));
}

/** Cedar has no empty enum: a list without entries gets one that nothing can be. */
export function enumType(values: ReadonlySet<string>): EntityType<string> {
  return { enum: values.size === 0 ? ['(none)'] : [...values] };
}
