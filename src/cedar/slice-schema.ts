import type { ActionType, EntityType, SchemaJson } from '@cedar-policy/cedar-wasm/nodejs';
import { type CedarRecord, type CedarType, NAMESPACE } from './arg-types.ts';
import type { ActionModel, PolicyModel } from './model.ts';
import type { ReadNode, Reads } from './reads.ts';
import { enumType, memberOf } from './schema.ts';
import { ENTITY_TYPES, recordOf } from './vocabulary.ts';

/**
 * The schema to read requests for one action with, cut down to what some policies read. What they do not read
 * is not in it, so a request that still carries it is refused. `name` is what the action is called in it.
 */
export function sliceSchema(
  model: PolicyModel,
  action: ActionModel,
  name: string,
  reads: Reads,
): SchemaJson<string> {
  const resourceType = action.resource.type.slice(NAMESPACE.length + 2);
  const context = projectRecord(action.context, reads.context);
  const principal = projectEntity('AgentRun', reads.principal, reads.hierarchy);
  const resource = projectEntity(resourceType, reads.resource, reads.hierarchy);
  const named = new Set<string>([...principal.memberOfTypes, ...resource.memberOfTypes]);
  for (const type of [context, principal.shape, resource.shape]) collectEntityTypes(type, named);
  const entityTypes: Record<string, EntityType<string>> = {};
  for (const name of named) entityTypes[name] = closedType(model, name);
  return {
    [NAMESPACE]: {
      entityTypes: { ...entityTypes, AgentRun: principal, [resourceType]: resource },
      actions: {
        ...(reads.action ? groupActions(model, action) : {}),
        [name]: {
          ...(reads.action ? memberOf(action.parents) : {}),
          appliesTo: { principalTypes: ['AgentRun'], resourceTypes: [resourceType], context },
        },
      },
    },
  };
}

function projectRecord(type: CedarRecord, node: ReadNode): CedarRecord {
  if (node.whole) return type;
  const attributes: CedarRecord['attributes'] = {};
  for (const [name, child] of node.children) {
    const attribute = Object.hasOwn(type.attributes, name) ? type.attributes[name] : undefined;
    if (attribute !== undefined) attributes[name] = projectAttribute(attribute, child);
  }
  return recordOf(attributes);
}

function projectAttribute(type: CedarType & { required?: boolean }, node: ReadNode) {
  if (!isRecord(type)) return type;
  const projected = projectRecord(type, node);
  return type.required === undefined ? projected : { ...projected, required: type.required };
}

function isRecord(type: CedarType): type is CedarRecord & { required?: boolean } {
  return type.type === 'Record';
}

function projectEntity(name: string, node: ReadNode, hierarchy: boolean) {
  const { parents, attributes } = ENTITY_TYPES[name] ?? { parents: [], attributes: {} };
  return { memberOfTypes: hierarchy ? [...parents] : [], shape: projectRecord(recordOf(attributes), node) };
}

function collectEntityTypes(type: CedarType, named: Set<string>): void {
  if ('element' in type) collectEntityTypes(type.element, named);
  if ('attributes' in type) {
    for (const attribute of Object.values(type.attributes)) collectEntityTypes(attribute, named);
  }
  if (type.type === 'Entity' && 'name' in type) named.add(type.name);
}

function closedType(model: PolicyModel, name: string): EntityType<string> {
  const values = model.enums.get(name);
  return values === undefined ? { memberOfTypes: [], shape: recordOf({}) } : enumType(values);
}

function groupActions(model: PolicyModel, action: ActionModel): Record<string, ActionType<string>> {
  return Object.fromEntries(
    [...action.groups].map((group) => [group, memberOf(model.groups.get(group) ?? [])]),
  );
}
