import type { SchemaJson } from '@cedar-policy/cedar-wasm/nodejs';
import { SallyportError } from '../base/index.ts';
import type { Cedar } from './cedar-wasm.ts';
import { compileConditions, createRequestReader, NotRepresented } from './compiled/index.ts';

const UNIT = 'self-test';

const SCHEMA: SchemaJson<string> = {
  T: {
    entityTypes: { U: {} },
    actions: {
      act: {
        appliesTo: {
          principalTypes: ['U'],
          resourceTypes: ['U'],
          context: {
            type: 'Record',
            attributes: { n: { type: 'Long' }, at: { type: 'Extension', name: 'datetime' } },
          },
        },
      },
    },
  },
};

const POLICIES = {
  allows: 'permit(principal, action == T::Action::"act", resource) when { context.n > 0 };',
  refuses: 'forbid(principal, action, resource) when { context.n == 2 };',
  errs: 'forbid(principal, action, resource) when { context.n == 3 && context.n * 9007199254740991 * 9007199254740991 > 0 };',
};

/**
 * Proves with an instance, and with the compiled evaluator, that permits permit, forbids forbid, nothing is
 * permitted by default, and errors and wrong types show. A gate that cannot prove that it refuses does not open.
 * Also warms the instance up. Throws `ERR_PDP_SELF_TEST`.
 */
export function selfTest(cedar: Cedar): void {
  try {
    cedar.preparseSchema(UNIT, SCHEMA);
    cedar.preparsePolicySet(UNIT, { staticPolicies: POLICIES });
  } catch (error) {
    throw failed('the Cedar engine threw in its self-test', error);
  }
  proveEvaluator('the Cedar engine', (n) => askCedar(cedar, n));
  proveEvaluator('the compiled evaluator', createCompiled(cedar));
}

/** Says `<decision>:<reason>:<errors>` about a context whose attribute `n` is as given, or `failure`. */
export type Evaluator = (n: number | string) => string;

const EXPECTED = ['allow:allows:', 'deny:refuses:', 'deny::', 'allow:allows:errs', 'failure'];

/** Throws `ERR_PDP_SELF_TEST` unless the evaluator answers all questions as it must. */
export function proveEvaluator(name: string, evaluate: Evaluator): void {
  let found: string[];
  try {
    found = [1, 2, 0, 3, '1'].map(evaluate);
  } catch (error) {
    throw failed(`${name} threw in its self-test`, error);
  }
  if (found.join() !== EXPECTED.join()) {
    throw failed(
      `${name} does not decide as it must: expected ${EXPECTED.join(' ')}, found ${found.join(' ')}`,
    );
  }
}

function failed(message: string, cause?: unknown): SallyportError {
  return new SallyportError('ERR_PDP_SELF_TEST', message, { cause });
}

function requestWith(n: number | string) {
  const user = { type: 'T::U', id: 'u' };
  return {
    principal: user,
    action: { type: 'T::Action', id: 'act' },
    resource: user,
    context: { n, at: { __extn: { fn: 'datetime', arg: '2026-01-01T00:00:00.000Z' } } },
    entities: [],
  };
}

function askCedar(cedar: Cedar, n: number | string): string {
  const answer = cedar.statefulIsAuthorized({
    ...requestWith(n),
    preparsedSchemaName: UNIT,
    preparsedPolicySetId: UNIT,
    validateRequest: true,
  });
  if (answer.type === 'failure') return 'failure';
  const { reason, errors } = answer.response.diagnostics;
  return `${answer.response.decision}:${reason.join()}:${errors.map((error) => error.policyId).join()}`;
}

/** The same policies, compiled from what Cedar makes of their text. */
function createCompiled(cedar: Cedar): Evaluator {
  const programs = Object.entries(POLICIES).map(([id, text]) => {
    const parsed = cedar.policyToJson(text);
    const holds = parsed.type === 'success' ? compileConditions(parsed.json.conditions) : undefined;
    if (parsed.type === 'failure' || holds === undefined) throw failed(`the policy "${id}" does not compile`);
    return { id, effect: parsed.json.effect, holds };
  });
  const read = createRequestReader(SCHEMA, requestWith(0).action);
  return (n) => {
    try {
      const environment = read(requestWith(n));
      const found = programs.map(({ id, effect, holds }) => ({ id, effect, holds: holds(environment) }));
      const satisfied = (effect: string) => {
        return found.filter((one) => one.holds === true && one.effect === effect).map(({ id }) => id);
      };
      const [permits, forbids] = [satisfied('permit'), satisfied('forbid')];
      const isAllowed = forbids.length === 0 && permits.length > 0;
      const errors = found.filter((one) => typeof one.holds === 'string').map(({ id }) => id);
      const reason = forbids.length > 0 ? forbids : permits;
      return `${isAllowed ? 'allow' : 'deny'}:${reason.join()}:${errors.join()}`;
    } catch (error) {
      if (error instanceof NotRepresented) return 'failure';
      throw error;
    }
  };
}
