import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/base/index.ts';
import { loadCedar } from '../../src/cedar/cedar-wasm.ts';
import type { ContextInput } from '../../src/cedar/context.ts';
import { createPdpFor } from '../../src/cedar/create-pdp.ts';
import { createEngine, type Engine, type Verdict } from '../../src/cedar/engine.ts';
import { combine } from '../../src/cedar/interpret.ts';
import { createJudge, type Judge } from '../../src/cedar/judge.ts';
import { createModel } from '../../src/cedar/model.ts';
import type { Approval, AuthorizationRequest } from '../../src/cedar/pdp.ts';
import { parsePolicySet } from '../../src/cedar/policy-set.ts';
import type { Explanation } from '../../src/cedar/provenance/index.ts';
import { schemaForPolicies } from '../../src/cedar/schema.ts';
import { ask } from '../../src/cedar/slice.ts';
import { type Candidates, createSlices } from '../../src/cedar/slices.ts';
import type { SpiffeId } from '../../src/identity/index.ts';
import { CATALOGUE, callerOf, FACTS, methodCall, NOW, runOf, toolCall } from '../support/cedar-fixtures.ts';
import { actionOf, contextInput, createPlainCedar } from '../support/plain-cedar.ts';
import { createRandom, type Random, randomPolicy } from '../support/random-policies.ts';

/** `npm run test:cedar-fuzz` runs many more, and SALLYPORT_FUZZ_SEED others. */
const CASES = Number(process.env['SALLYPORT_FUZZ_CASES'] ?? 2_400);
const FIRST_SEED = Number(process.env['SALLYPORT_FUZZ_SEED'] ?? 1);
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

function randomLabels(random: Random): string[] {
  return ['pii', 'private', 'secret', 'untrusted'].filter(() => random.chance(0.3));
}

function randomProvenance(random: Random): Explanation {
  const level = () =>
    random.pick(['none', 'request', 'ownResult', 'systemField', 'thirdPartyText', 'unknown'] as const);
  const [worst, address, identifier, content] = [level(), level(), level(), level()];
  const sources = random.chance(0.5) ? ['01J0000000000000000000000A'] : [];
  return {
    facts: { worst, address, identifier, content, sources, labels: randomLabels(random) },
    arguments: [],
  };
}

/** The engine gets it as it is, whether or not it is of this call. */
function randomApproval(random: Random): Approval {
  const hash = random.pick(['', 'not-of-this-call', 'x'.repeat(43)]);
  return { by: random.pick(['ada', '', 'é😀']), at: NOW - random.pick([0, 1, 3_600_000]), callHash: hash };
}

function randomRequest(random: Random): AuthorizationRequest {
  const agent = random.pick(['clerk', 'auditor', 'stranger']);
  const isFixed = agent === 'clerk' && random.chance(0.3);
  const run = runOf({
    agent,
    depth: random.below(3),
    environment: random.pick(['dev', 'prod']),
    owner: { kind: 'team', name: random.pick(['support', 'other']), contact: '-' },
    intent: {
      purpose: random.pick(['triage-inbox', 'monthly-payout']),
      ...(random.chance(0.5) ? { taskDigest: 'd' } : {}),
      ...(random.chance(0.5) ? { capabilities: [random.pick(['send-message', 'pay', 'fetch-web'])] } : {}),
      ...(random.chance(0.3) ? { addressees: ['ada@example.org', 'eve@evil.example'] } : {}),
      ...(random.chance(0.3) ? { sources: ['report.txt'] } : {}),
      ...(random.chance(0.3) ? { inferred: true } : {}),
    },
    ...(isFixed ? { spiffeId: 'spiffe://test.example/agent/clerk/run/fixed' as SpiffeId } : {}),
  });
  const facts = {
    ...FACTS,
    calls: random.pick([0, 1, 2, 2 ** 53 - 1]),
    toolCalls: random.below(3),
    denials: random.below(3),
    inFlight: random.below(3),
    capabilityCalls: random.chance(0.2) ? { 'send-message': 2, '*': 1 } : {},
    labels: randomLabels(random),
  };
  const options = {
    caller: callerOf(run),
    facts,
    now: NOW + random.pick([-1, 0, 1]),
    credential: random.pick(['call-token', 'call-token', 'none', 'oauth', '']),
    ...(random.chance(0.4) ? { provenance: randomProvenance(random) } : {}),
    ...(random.chance(0.3) ? { approval: randomApproval(random) } : {}),
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

/** The same, by the compiled evaluator and without its checks on itself. */
function judgeAlone(judge: Judge, candidates: Candidates, input: ContextInput): Verdict {
  const found = judge(candidates, input);
  return 'kind' in found ? found : combine(found);
}

const NEVER = { sampling: { first: 0, choose: () => false } };
const ALWAYS = { sampling: { first: 0, choose: () => true } };

describe('a decision', () => {
  it('sliced and compiled has the outcome, the reasons and the errors of plain Cedar', () => {
    const tally = { allow: 0, deny: 0, errors: 0, permits: 0 };
    const policies = { all: 0, compiled: 0 };
    let handedBack = 0;
    for (let set = 0; set * CASES_PER_SET < CASES; set++) {
      const seed = FIRST_SEED + set;
      const random = createRandom(seed);
      const texts = randomSet(random);
      const plain = createPlainCedar(model, texts);
      const parsed = parsePolicySet(
        [{ file: 'fuzz.cedar', text: Object.values(texts).join('\n') }],
        CATALOGUE,
      );
      if (!parsed.ok) throw new Error(JSON.stringify(parsed.error));
      const slices = createSlices(parsed.value.policies, parsed.value.model);
      const engine = createEngine();
      const judge = createJudge(engine, NEVER);
      const mismatches: string[] = [];
      const onMismatch = (detail: string) => mismatches.push(detail);
      const pdp = createPdpFor(parsed.value, { judge: { ...ALWAYS, onMismatch } });
      for (let i = 0; i < CASES_PER_SET; i++) {
        const where = `seed ${seed}, case ${i}`;
        const request = randomRequest(random);
        const action = actionOf(parsed.value.model, request);
        const candidates = slices.find(action, request.caller.chain[0]);
        const input = contextInput(request, action);
        const expected = plain(request);
        if (expected.kind === 'failed') throw new Error(`${where}: ${expected.detail}`);
        expect(evaluate(engine, candidates, input), `sliced, ${where}`).toEqual(expected);
        expect(judgeAlone(judge, candidates, input), `compiled, ${where}`).toEqual(expected);
        if (candidates.compiled.evaluate(input) === undefined) handedBack++;
        policies.all += candidates.policies.length;
        policies.compiled += candidates.compiled.policies.length;
        const { effect } = pdp.decide(request);
        const isPermitted = expected.allow && expected.errors.length === 0;
        // a permit that reads an approval turns a refusal into a question, which is a refusal too
        expect(effect === 'permit', where).toBe(isPermitted);
        tally[expected.allow ? 'allow' : 'deny']++;
        if (expected.errors.length > 0) tally.errors++;
        if (isPermitted) tally.permits++;
      }
      expect(mismatches).toEqual([]);
    }
    // The cases must be worth something: all outcomes occur, none of them rarely, and most are compiled.
    expect(Math.min(tally.allow, tally.deny, tally.errors, tally.permits)).toBeGreaterThan(CASES / 20);
    expect(policies.compiled / policies.all).toBeGreaterThan(0.8);
    expect(policies.compiled).toBeLessThan(policies.all);
    expect(handedBack).toBeLessThan(CASES / 10);
    if (CASES > 10_000)
      process.stdout.write(`${CASES} cases: ${JSON.stringify({ ...tally, policies, handedBack })}\n`);
  }, 3_600_000);
});
