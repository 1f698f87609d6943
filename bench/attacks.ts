// Replays recorded agent runs, benign ones and attacks, through the PDP and the provenance index. No model is asked.

import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Catalogue } from '../src/cedar/index.ts';
import { readPolicyFolder } from '../src/cedar/policy-folder.ts';
import { adapt, VARIANTS } from './attacks/adaptive.ts';
import { type CaseSet, readCaseSets } from './attacks/cases.ts';
import { declaredIntent, inferredIntent, wordsWithout } from './attacks/intents.ts';
import { type OtherSuites, readOtherSuites } from './attacks/other-suites.ts';
import { readPrincipals } from './attacks/principal.ts';
import { createReplayer, type IntentSource, type Replayer } from './attacks/replay.ts';
import { emptyScore, percent, type Score, scoreAttack, scoreBenign } from './attacks/score.ts';
import { type AnnotationSource, readTools } from './attacks/tools.ts';

const print = (text: string): void => void process.stdout.write(`${text}\n`);

const USAGE = `npm run bench:attacks -- --data DIR [flags]
  --data DIR   folder with the recorded cases (JSON lines) and tool_catalogue.jsonl; none come with the project
  --misses N   list at most so many reasons a set (12)`;

const PACK = fileURLToPath(new URL('../examples/policies/provenance', import.meta.url));

type Bench = {
  readonly sets: readonly CaseSet[];
  readonly other: OtherSuites | undefined;
  readonly catalogue: Catalogue;
  readonly replay: Replayer;
  readonly principals: ReadonlyMap<string, readonly string[]>;
  readonly misses: number;
};

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      data: { type: 'string' },
      misses: { type: 'string', default: '12' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) return print(USAGE);
  if (values.data === undefined) {
    print(`no cases to replay: name a folder with --data\n\n${USAGE}`);
    process.exitCode = 2;
    return;
  }
  const sets = readCaseSets(values.data);
  const misses = Number(values.misses);
  const principals = readPrincipals(values.data);
  const other = readOtherSuites(values.data);
  for (const source of ['reviewed', 'derived'] as const) {
    const catalogue = readTools(values.data, source);
    const replay = await openReplayer(catalogue, principals);
    report(source, { sets, other, catalogue, replay, principals, misses });
  }
  if (other === undefined) print('\nno other suites of benign runs in the folder');
  else await reportOtherSuites(other, misses);
}

/** Suites that neither the pack nor the rules about names were written for. */
async function reportOtherSuites({ sets, catalogue }: OtherSuites, misses: number): Promise<void> {
  const replay = await openReplayer(catalogue, new Map());
  const intents = { declared: declaredIntent('derived', catalogue), inferred: inferredIntent(catalogue) };
  for (const [name, intent] of Object.entries(intents)) {
    print(`\nother suites, benign, annotations derived, intent ${name}`);
    print(HEADER);
    const scores = sets.map((set) => ({ set, bySuite: scoreSet(set, replay, intent) }));
    for (const { set, bySuite } of scores) printScores(set.name, bySuite);
    for (const { set, bySuite } of scores) printMisses(set.name, bySuite, misses);
  }
}

const HEADER = 'set                    suite        cases  good %  asks/100  denials';

async function openReplayer(catalogue: Catalogue, principals: Bench['principals']): Promise<Replayer> {
  const policies = await readPolicyFolder(PACK);
  if (!policies.ok)
    throw new Error(policies.error.map(({ file, message }) => `${file}: ${message}`).join('\n'));
  return createReplayer({ catalogue, policies: policies.value, principals });
}

function report(source: AnnotationSource, bench: Bench): void {
  const declared = declaredIntent(source, bench.catalogue);
  const intents = { declared, inferred: inferredIntent(bench.catalogue) };
  for (const [name, intent] of Object.entries(intents)) {
    print(`\nannotations ${source}, intent ${name}`);
    print(HEADER);
    const scores = bench.sets.map((set) => ({ set, scores: scoreSet(set, bench.replay, intent) }));
    for (const { set, scores: bySuite } of scores) printScores(set.name, bySuite);
    for (const { set, scores: bySuite } of scores) printMisses(set.name, bySuite, bench.misses);
  }
  reportHeldOut(bench);
  reportAdaptive(bench, declared);
}

/** Each suite with the table of words that the other suites alone would have made. */
function reportHeldOut({ sets, other, catalogue, replay }: Bench): void {
  print('\nintent inferred, without the words that only the suite itself shows');
  print(HEADER);
  const all = [...sets, ...(other?.sets ?? [])].flatMap(({ cases }) => cases);
  for (const set of sets.filter(({ kind }) => kind === 'benign')) {
    const suites = new Map<string, Score>();
    for (const suite of new Set(set.cases.map((recorded) => recorded.suite))) {
      const intent = inferredIntent(catalogue, wordsWithout(suite, all));
      const cases = set.cases.filter((recorded) => recorded.suite === suite);
      for (const [name, score] of scoreSet({ ...set, cases }, replay, intent)) suites.set(name, score);
    }
    printScores(set.name, suites);
  }
}

function scoreSet({ kind, cases }: CaseSet, replay: Replayer, intent: IntentSource): Map<string, Score> {
  const scores = new Map<string, Score>();
  for (const recorded of cases) {
    const score = scores.get(recorded.suite) ?? emptyScore();
    scores.set(recorded.suite, score);
    const verdicts = replay(recorded, intent);
    if (kind === 'benign') scoreBenign(recorded, verdicts, score);
    else scoreAttack(recorded, verdicts, score);
  }
  return scores;
}

function printScores(name: string, bySuite: ReadonlyMap<string, Score>): void {
  for (const [suite, score] of bySuite) print(row(name, suite, score));
  print(row(name, 'total', sum([...bySuite.values()])));
}

function row(name: string, suite: string, { cases, good, calls, asks, denials }: Score): string {
  const cells = [String(cases).padStart(7), percent(good, cases).padStart(8)];
  if (calls > 0) cells.push(percent(asks, calls).padStart(10), String(denials).padStart(9));
  return `${name.padEnd(23)}${suite.padEnd(11)}${cells.join('')}`;
}

function sum(scores: readonly Score[]): Score {
  const total = emptyScore();
  for (const score of scores) {
    total.cases += score.cases;
    total.good += score.good;
    total.calls += score.calls;
    total.asks += score.asks;
    total.denials += score.denials;
    for (const [why, count] of score.misses) total.misses.set(why, (total.misses.get(why) ?? 0) + count);
  }
  return total;
}

function printMisses(name: string, bySuite: ReadonlyMap<string, Score>, most: number): void {
  const misses = [...sum([...bySuite.values()]).misses].sort(([, a], [, b]) => b - a);
  if (misses.length === 0) return;
  print(`\n  ${name}, missed:`);
  for (const [why, count] of misses.slice(0, most)) print(`  ${String(count).padStart(4)}  ${why}`);
  if (misses.length > most) print(`        and ${misses.length - most} more reasons`);
}

function reportAdaptive({ sets, catalogue, replay, principals, misses }: Bench, intent: IntentSource): void {
  print('\nattacks by somebody who knows the rules, intent declared: stopped %');
  for (const variant of VARIANTS) {
    const scores = sets
      .filter(({ kind }) => kind === 'attack')
      .map((set) => ({
        ...set,
        cases: set.cases.map((recorded) =>
          adapt(recorded, variant, catalogue, principals.get(recorded.suite) ?? []),
        ),
      }))
      .map((set) => ({ set, bySuite: scoreSet(set, replay, intent) }));
    print(variant);
    for (const { set, bySuite } of scores) {
      const total = sum([...bySuite.values()]);
      const cells = [...bySuite, ['total', total] as const].map(
        ([name, { good, cases }]) => `${name} ${percent(good, cases)}`,
      );
      print(`  ${set.name.padEnd(21)}${cells.join('   ')}`);
      for (const [why, count] of [...total.misses].slice(0, misses)) print(`        ${count}  ${why}`);
    }
  }
}

await main();
