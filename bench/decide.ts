import { parseArgs } from 'node:util';
import { createPdpFor } from '../src/cedar/create-pdp.ts';
import { createEngine } from '../src/cedar/engine.ts';
import type { AuthorizationRequest } from '../src/cedar/index.ts';
import { createJudge } from '../src/cedar/judge.ts';
import { type PolicySet, parsePolicySet } from '../src/cedar/policy-set.ts';
import { createSlices } from '../src/cedar/slices.ts';
import { actionOf, contextInput, createPlainCedar } from '../test/support/plain-cedar.ts';
import { catalogueFor, policiesFor, requestFor, type Size } from './decide-case.ts';

const USAGE = `npm run bench:decide -- [flags]
  --policies N,N  (10,100,1000,5000)
  --tools N,N     (10,50,500)
  --args N,N      bytes of arguments (200,4096)
  --rounds N      rounds of each, the least counts (12)`;

const options = {
  policies: { type: 'string', default: '10,100,1000,5000' },
  tools: { type: 'string', default: '10,50,500' },
  args: { type: 'string', default: '200,4096' },
  rounds: { type: 'string', default: '12' },
  help: { type: 'boolean', default: false },
} as const;

/** Prints what a decision costs, ours beside cedar-wasm as it comes, both on the same requests. */
function main(): void {
  const { values } = parseArgs({ options });
  if (values.help) {
    say(USAGE);
    return;
  }
  const [policies, tools, args, [rounds = 12]] = [
    values.policies,
    values.tools,
    values.args,
    values.rounds,
  ].map(toNumbers) as [number[], number[], number[], number[]];
  say('CPU µs per decision, least of the rounds; no two requests are alike');
  say(
    '| policies | tools | about a call | args B | cedar-wasm, stateful | sliced, by cedar-wasm | compiled | ratio | first ms |',
  );
  say('| --- | --- | --- | --- | --- | --- | --- | --- | --- |');
  for (const count of policies) {
    for (const toolCount of tools) {
      const set = parse({ policies: count, tools: toolCount, argBytes: 0 });
      for (const argBytes of args) say(measure(set, { policies: count, tools: toolCount, argBytes }, rounds));
    }
  }
}

function toNumbers(list: string): number[] {
  const numbers = list.split(',').map(Number);
  if (!numbers.every((number) => Number.isSafeInteger(number) && number > 0)) throw new Error(USAGE);
  return numbers;
}

function parse(size: Size): PolicySet {
  const set = parsePolicySet(policiesFor(size), catalogueFor(size));
  if (!set.ok) throw new Error(JSON.stringify(set.error.slice(0, 3)));
  return set.value;
}

type Decide = (request: AuthorizationRequest) => unknown;

function measure(set: PolicySet, size: Size, rounds: number): string {
  const texts = Object.fromEntries(
    policiesFor(size).flatMap(({ text }) =>
      text.split('\n').map((line) => [/@id\("(.*?)"\)/.exec(line)?.[1], line]),
    ),
  ) as Record<string, string>;
  const pdp = createPdpFor(set);
  const first = process.cpuUsage();
  pdp.decide(requestFor(size, 0));
  const { user, system } = process.cpuUsage(first);
  const sliced = slicedOnly(set);
  const candidates = createSlices(set.policies, set.model).find(
    actionOf(set.model, requestFor(size, 0)),
    requestFor(size, 0).caller.chain[0],
  );
  const plain = cost(createPlainCedar(set.model, texts), size, rounds, size.policies > 500 ? 8 : 60);
  const bySlice = cost(sliced, size, rounds, 200);
  const ours = cost((request) => pdp.decide(request), size, rounds, 2_000);
  const cells = [size.policies, size.tools, candidates.policies.length, size.argBytes];
  const micros = [plain, bySlice, ours].map((value) => value.toFixed(value < 100 ? 1 : 0));
  return `| ${[...cells, ...micros, `${(plain / ours).toFixed(0)}×`, ((user + system) / 1000).toFixed(1)].join(' | ')} |`;
}

/** What decides once the compiled evaluator has been given up. */
function slicedOnly(set: PolicySet): Decide {
  const judge = createJudge(createEngine());
  const slices = createSlices(set.policies, set.model);
  return (request) => {
    const action = actionOf(set.model, request);
    const found = slices.find(action, request.caller.chain[0]);
    return judge(
      { ...found, compiled: { policies: [], evaluate: () => undefined }, slices: found.slices },
      contextInput(request, action),
    );
  };
}

/** Microseconds of CPU time, all threads. The first round warms up and is dropped. */
function cost(decide: Decide, size: Size, rounds: number, calls: number): number {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round <= rounds; round++) {
    const requests = Array.from({ length: calls }, (_, i) => requestFor(size, round * calls + i));
    const before = process.cpuUsage();
    for (const request of requests) decide(request);
    const { user, system } = process.cpuUsage(before);
    if (round > 0) least = Math.min(least, (user + system) / calls);
  }
  return least;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

main();
