import type { SchemaJson } from '@cedar-policy/cedar-wasm/nodejs';
import { SallyportError } from '../base/index.ts';
import type { Cedar } from './cedar-wasm.ts';

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
 * Proves with an instance that permits permit, forbids forbid, nothing is permitted by default, and errors and
 * wrong types show. A gate that cannot prove that it refuses does not open. Also warms the instance up.
 * Throws `ERR_PDP_SELF_TEST`.
 */
export function selfTest(cedar: Cedar): void {
  const expected = ['allow:allows:', 'deny:refuses:', 'deny::', 'allow:allows:errs', 'failure'];
  let found: string[];
  try {
    cedar.preparseSchema(UNIT, SCHEMA);
    cedar.preparsePolicySet(UNIT, { staticPolicies: POLICIES });
    found = [1, 2, 0, 3, '1'].map((n) => ask(cedar, n));
  } catch (error) {
    throw new SallyportError('ERR_PDP_SELF_TEST', 'the Cedar engine threw in its self-test', {
      cause: error,
    });
  }
  if (found.join() !== expected.join()) {
    const detail = `expected ${expected.join(' ')}, found ${found.join(' ')}`;
    throw new SallyportError('ERR_PDP_SELF_TEST', `the Cedar engine does not decide as it must: ${detail}`);
  }
}

function ask(cedar: Cedar, n: number | string): string {
  const user = { type: 'T::U', id: 'u' };
  const answer = cedar.statefulIsAuthorized({
    principal: user,
    action: { type: 'T::Action', id: 'act' },
    resource: user,
    context: { n, at: { __extn: { fn: 'datetime', arg: '2026-01-01T00:00:00.000Z' } } },
    entities: [],
    preparsedSchemaName: UNIT,
    preparsedPolicySetId: UNIT,
    validateRequest: true,
  });
  if (answer.type === 'failure') return 'failure';
  const { reason, errors } = answer.response.diagnostics;
  return `${answer.response.decision}:${reason.join()}:${errors.map((error) => error.policyId).join()}`;
}
