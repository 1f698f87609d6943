import { type JsonObject, type JsonValue, parseStrictJson } from '../../src/base/index.ts';
import { loadCedar } from '../../src/cedar/cedar-wasm.ts';

/** A rule that whoever fools the evaluator gets past. */
export const GUARD =
  '@id("guard") @reason("not there") forbid(principal, action == Sallyport::Action::"files/read", resource) when { context.args.path like "/etc/*" };';

/** The same rule, written so that only Cedar itself can evaluate it: JSON does not hold the number. */
export const GUARD_BY_CEDAR = GUARD.replace(
  'context.args.path like',
  'context.run.calls != 9007199254740993 && context.args.path like',
);

function nested(depth: number): JsonValue {
  let value: JsonValue = 'deep';
  for (let i = 0; i < depth; i++) value = i % 2 === 0 ? [value] : { d: value };
  return value;
}

/** As an agent can send it: an own property, which an object literal would not make. */
export const WITH_PROTO = JSON.parse('{"__proto__": {"path": "/etc/passwd"}}') as JsonObject;

/** Arguments that break, fool or slow down an evaluator that takes them as they come. */
export const HOSTILE: readonly JsonValue[] = [
  '\ud800',
  'a\udfff',
  { __extn: { fn: 'unknown', arg: 'x' } },
  { __extn: { fn: 'decimal', arg: '1.0' } },
  { __entity: { type: 'Sallyport::Tool', id: 'files/read' } },
  { __expr: 'true' },
  WITH_PROTO,
  { constructor: 'x', hasOwnProperty: 1 },
  1e300,
  -1e300,
  2 ** 63,
  -(2 ** 63),
  2 ** 53,
  nested(200),
  'x'.repeat(200_000),
  Array.from({ length: 20_000 }, () => 'x'),
  null,
  '',
];

/** Cedar used the obvious way: no schema, the arguments as they came. */
export function obviousUse(policies: string) {
  const cedar = loadCedar();
  cedar.preparsePolicySet('obvious', { staticPolicies: policies });
  return (args: JsonValue) => {
    const answer = cedar.statefulIsAuthorized({
      principal: { type: 'Sallyport::AgentRun', id: 'r' },
      action: { type: 'Sallyport::Action', id: 'files/read' },
      resource: { type: 'Sallyport::Tool', id: 'files/read' },
      context: { args: args as never },
      entities: [],
      preparsedPolicySetId: 'obvious',
    });
    return answer.type === 'success' ? answer.response.decision : answer.type;
  };
}

/** Is this text read at all, as the body of a request? */
export const isRead = (text: string): boolean => parseStrictJson(text).ok;
