import type { SchemaJson } from '@cedar-policy/cedar-wasm/nodejs';
import { loadCedar } from '../../src/cedar/cedar-wasm.ts';
import { contextOf } from '../../src/cedar/context.ts';
import { encodeArgs } from '../../src/cedar/encode-args.ts';
import type { Verdict } from '../../src/cedar/engine.ts';
import { paramOf } from '../../src/cedar/mcp-methods.ts';
import type { ActionModel, PolicyModel } from '../../src/cedar/model.ts';
import type { AuthorizationRequest } from '../../src/cedar/pdp.ts';
import { principalOf } from '../../src/cedar/principal.ts';
import { schemaForPolicies } from '../../src/cedar/schema.ts';
import { entity } from '../../src/cedar/vocabulary.ts';

/** What a request is about, in full: nothing sliced, nothing projected. */
export function contextInput(request: AuthorizationRequest, action: ActionModel) {
  const { target, caller } = request;
  const run = caller.chain[0];
  if (target.kind === 'tool') {
    if (action.args === undefined) throw new TypeError('a tool has arguments');
    const { annotations, isReviewed } = action;
    if (annotations === undefined) throw new TypeError('a tool has annotations');
    return { request, run, encoded: encodeArgs(action.args, target.args), annotations, isReviewed };
  }
  const param = paramOf(target.method);
  const value = param === undefined ? undefined : target.params[param];
  return { request, run, params: param !== undefined && typeof value === 'string' ? { [param]: value } : {} };
}

export function actionOf(model: PolicyModel, { target }: AuthorizationRequest): ActionModel {
  const upstream = model.upstreams.get(target.upstream);
  const action =
    target.kind === 'tool' ? upstream?.tools.get(target.tool) : upstream?.methods.get(target.method);
  if (action === undefined) throw new TypeError('the model has no such action');
  return action;
}

/** Cedar as it comes: every policy with its own scope, the whole schema, the whole context, every entity. */
export function createPlainCedar(model: PolicyModel, policies: Record<string, string>) {
  const cedar = loadCedar();
  const id = 'plain';
  mustSucceed(cedar.preparseSchema(id, requestSchema(model)));
  mustSucceed(cedar.preparsePolicySet(id, { staticPolicies: policies }));
  return (request: AuthorizationRequest): Verdict => {
    const action = actionOf(model, request);
    const principal = principalOf(request.caller.chain[0]);
    const answer = cedar.statefulIsAuthorized({
      principal: principal.uid,
      action: entity('Action', action.action),
      resource: action.resource,
      context: contextOf({ whole: true, children: new Map() }, contextInput(request, action)),
      entities: [
        { uid: principal.uid, attrs: { ...principal.attributes }, parents: principal.parents },
        {
          uid: action.resource,
          attrs: { ...action.resourceAttributes },
          parents: [...action.resourceParents],
        },
      ],
      preparsedSchemaName: id,
      preparsedPolicySetId: id,
      validateRequest: true,
    });
    if (answer.type === 'failure')
      return { kind: 'failed', detail: answer.errors.map((e) => e.message).join() };
    const { decision, diagnostics } = answer.response;
    return {
      kind: 'decided',
      allow: decision === 'allow',
      reasons: [...diagnostics.reason].sort(),
      errors: diagnostics.errors.map(({ policyId, error }) => `${policyId}: ${error.message}`).sort(),
    };
  };
}

/** The schema for policies, with what requests may leave out left open. */
function requestSchema(model: PolicyModel): SchemaJson<string> {
  const schema = structuredClone(schemaForPolicies(model));
  for (const { tools, methods } of model.upstreams.values()) {
    for (const action of [...tools.values(), ...methods.values()]) {
      const declared = schema['Sallyport']?.actions[action.action]?.appliesTo;
      if (declared === undefined) throw new TypeError(`no action ${action.action} in the schema`);
      declared.context = action.context;
    }
  }
  return schema;
}

function mustSucceed(answer: { type: string; errors?: readonly { message: string }[] }): void {
  if (answer.type !== 'success') throw new TypeError(JSON.stringify(answer.errors));
}
