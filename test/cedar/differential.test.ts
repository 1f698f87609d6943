import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/base/index.ts';
import { loadCedar } from '../../src/cedar/cedar-wasm.ts';
import type { ContextInput } from '../../src/cedar/context.ts';
import { createPdpFor } from '../../src/cedar/create-pdp.ts';
import { createEngine, type Engine, type Verdict } from '../../src/cedar/engine.ts';
import { combine } from '../../src/cedar/interpret.ts';
import { createModel } from '../../src/cedar/model.ts';
import type { AuthorizationRequest } from '../../src/cedar/pdp.ts';
import { parsePolicySet } from '../../src/cedar/policy-set.ts';
import { schemaForPolicies } from '../../src/cedar/schema.ts';
import { ask } from '../../src/cedar/slice.ts';
import { type Candidates, createSlices } from '../../src/cedar/slices.ts';
import type { SpiffeId } from '../../src/identity/index.ts';
import { CATALOGUE, callerOf, FACTS, methodCall, NOW, runOf, toolCall } from '../support/cedar-fixtures.ts';
import { actionOf, contextInput, createPlainCedar } from '../support/plain-cedar.ts';
import { createRandom, type Random, randomPolicy } from '../support/random-policies.ts';

/** More of them: SALLYPORT_FUZZ_CASES=50000 npx vitest run test/cedar/differential.test.ts */
const CASES = Number(process.env['SALLYPORT_FUZZ_CASES'] ?? 2_400);
const CASES_PER_SET = 150;
/** About half of them are valid. Small sets read little, so that much is left out of their slices. */
const CANDIDATES_PER_SET = [6, 12, 80];

const model = createModel(CATALOGUE);
const schema = schemaForPolicies(model);

function randomSet(random: Random): Record<string, string> {
  const ids = Array.from({ length: random.pick(CANDIDATES_PER_SET) }, (_, i) => `p${i}`);
  const all = Object.fromEntries(ids.map((id) => [id, randomPolicy(random, id)]));
  const answer = loadCedar().validate({ schema, policies: { staticPolicies: all } });
  if (answer.type === 'failure') throw new Error(JSON.stringify(answer.errors));
  const invalid = [...answer.validationErrors, ...answer.validationWarnings].map(({ policyId }) => policyId);
  return Object.fromEntries(Object.entries(all).filter(([id]) => !invalid.includes(id)));
}

const TEXTS = ['', 'hi', 'acme', 'a secret', '/srv/x', '/tmp/y', 'é😀', '__extn', 'x'.repeat(70_000)];

function randomArgs(random: Random, tool: string): JsonObject {
  const text = () => random.pick(TEXTS);
  const all: Record<string, JsonObject> = {
    'mail/search': { query: text(), limit: random.pick([1, 3, 2 ** 53 - 1, 1.5, 'many']) },
    'mail/send': {
      to: random.pick<JsonObject[string]>([[], ['eve@evil.example', text()], 'eve@evil.example', [1]]),
      subject: random.pick<JsonObject[string]>(['hi', null, 5]),
      body: text(),
      headers: { __extn: { fn: 'unknown', arg: 'x' } },
    },
    'pay/transfer': {
      to: random.pick<JsonObject[string]>(['acme', { __entity: { type: 'Sallyport::Label', id: 'pii' } }]),
      amount: random.pick([5, 100.5, 1e300, 0.00001, -0]),
      currency: random.pick(['EUR', 'USD', 'XXX']),
      due: random.pick(['2026-01-03T12:00:00+02:00', 'tomorrow']),
      memo: random.pick<JsonObject[string]>(['', null, 'm']),
    },
    'files/read': { path: text() },
    'files/delete-tree': { path: text() },
  };
  const args = Object.entries({ ...all[tool], surprise: 1 });
  return Object.fromEntries(args.filter(([name]) => random.chance(name === 'surprise' ? 0.1 : 0.85)));
}

function randomRequest(random: Random): AuthorizationRequest {
  const agent = random.pick(['clerk', 'auditor', 'stranger']);
  const isFixed = agent === 'clerk' && random.chance(0.3);
  const run = runOf({
    agent,
    depth: random.below(3),
    environment: random.pick(['dev', 'prod']),
    owner: { kind: 'team', name: random.pick(['support', 'other']), contact: '-' },
    intent: random.chance(0.5)
      ? { purpose: 'triage-inbox', taskDigest: 'd' }
      : { purpose: random.pick(['triage-inbox', 'monthly-payout']) },
    ...(isFixed ? { spiffeId: 'spiffe://test.example/agent/clerk/run/fixed' as SpiffeId } : {}),
  });
  const facts = {
    ...FACTS,
    calls: random.pick([0, 1, 2, 2 ** 53 - 1]),
    toolCalls: random.below(3),
    denials: random.below(3),
    inFlight: random.below(3),
    labels: ['pii', 'private', 'secret', 'untrusted'].filter(() => random.chance(0.3)),
  };
  const options = {
    caller: callerOf(run),
    facts,
    now: NOW + random.pick([-1, 0, 1]),
    credential: 'call-token',
  };
  if (random.chance(0.7)) {
    const tool = random.pick(['mail/search', 'mail/send', 'pay/transfer', 'files/read', 'files/delete-tree']);
    return toolCall(tool, randomArgs(random, tool), options);
  }
  const method = random.pick(['tools/list', 'resources/read', 'prompts/get', 'desk/ring', 'ping', 'GET']);
  const params: JsonObject = random.chance(0.7)
    ? { uri: 'file:///x', name: random.pick(['hello', 'x']) }
    : {};
  return methodCall(random.pick(['mail', 'pay']), method, params, options);
}

/** What the PDP does, without its cache and its strictness. */
function evaluate(engine: Engine, candidates: Candidates, input: ContextInput): Verdict {
  const verdicts = candidates.slices.map((slice) => engine.evaluate(slice.unit, ask(slice, input).query));
  const findings = verdicts.map((verdict) => {
    if (verdict.kind === 'failed') throw new Error(verdict.detail);
    const satisfied = candidates.policies.filter((policy) => verdict.reasons.includes(policy.id));
    return { satisfied, errors: verdict.errors };
  });
  return combine({
    satisfied: findings.flatMap(({ satisfied }) => satisfied),
    errors: findings.flatMap(({ errors }) => errors),
  });
}

describe('slicing', () => {
  it('gives the decision, the reasons and the errors of plain Cedar', () => {
    const tally = { allow: 0, deny: 0, errors: 0, permits: 0 };
    for (let seed = 1; seed * CASES_PER_SET <= CASES; seed++) {
      const random = createRandom(seed);
      const texts = randomSet(random);
      const plain = createPlainCedar(model, texts);
      const set = parsePolicySet([{ file: 'fuzz.cedar', text: Object.values(texts).join('\n') }], CATALOGUE);
      if (!set.ok) throw new Error(JSON.stringify(set.error));
      const slices = createSlices(set.value.policies, set.value.model);
      const engine = createEngine();
      const pdp = createPdpFor(set.value);
      for (let i = 0; i < CASES_PER_SET; i++) {
        const request = randomRequest(random);
        const action = actionOf(set.value.model, request);
        const candidates = slices.find(action, request.caller.chain[0]);
        const sliced = evaluate(engine, candidates, contextInput(request, action));
        const expected = plain(request);
        if (expected.kind === 'failed') throw new Error(`seed ${seed}, case ${i}: ${expected.detail}`);
        expect(sliced, `seed ${seed}, case ${i}`).toEqual(expected);
        const { effect } = pdp.decide(request);
        const isPermitted = expected.allow && expected.errors.length === 0;
        expect(effect, `seed ${seed}, case ${i}`).toBe(isPermitted ? 'permit' : 'forbid');
        tally[expected.allow ? 'allow' : 'deny']++;
        if (expected.errors.length > 0) tally.errors++;
        if (isPermitted) tally.permits++;
      }
    }
    // The cases must be worth something: all outcomes occur, none of them rarely.
    expect(Math.min(tally.allow, tally.deny, tally.errors, tally.permits)).toBeGreaterThan(CASES / 20);
  }, 600_000);
});
