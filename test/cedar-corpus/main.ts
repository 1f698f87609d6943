import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { EntityJson, PolicyJson, TypeAndId } from '@cedar-policy/cedar-wasm/nodejs';
import * as cedar from '@cedar-policy/cedar-wasm/nodejs';
import { decideCompiled, type Outcome } from './decide-compiled.ts';

/** A file of the corpus. */
type Case = {
  readonly policies: string;
  readonly entities: string;
  readonly schema: string;
  readonly requests: readonly (Outcome & {
    readonly principal: TypeAndId;
    readonly action: TypeAndId;
    readonly resource: TypeAndId;
    readonly context: unknown;
  })[];
};

const USAGE = `npm run test:cedar-corpus -- --data DIR [--limit N]
  --data DIR   where cedar-policy/cedar-integration-tests is, its corpus-tests.tar.gz unpacked
  --limit N    cases at most (all)`;

/** Runs Cedar's own test corpus through the compiled evaluator. The exit code tells whether all agreed. */
function main(): void {
  const { values } = parseArgs({ options: { data: { type: 'string' }, limit: { type: 'string' } } });
  if (values.data === undefined) {
    process.stderr.write(`${USAGE}\n`);
    process.exitCode = 2;
    return;
  }
  const folder = values.data;
  const files = casesOf(folder).slice(0, Number(values.limit ?? Number.POSITIVE_INFINITY));
  const tally = { agreed: 0, handedBack: 0, differed: 0, allowed: 0, withErrors: 0, unreadable: 0 };
  for (const file of files) runCase(folder, file, tally);
  process.stdout.write(`${files.length} cases: ${JSON.stringify(tally)}\n`);
  if (tally.differed > 0 || tally.agreed === 0) process.exitCode = 1;
}

function casesOf(folder: string): string[] {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
  return names.filter(
    (name) => /^(?:corpus-tests|tests)\/.*\.json$/.test(name) && !name.endsWith('.entities.json'),
  );
}

type Tally = Record<'agreed' | 'handedBack' | 'differed' | 'allowed' | 'withErrors' | 'unreadable', number>;

function runCase(folder: string, file: string, tally: Tally): void {
  const read = (name: string) => readFileSync(join(folder, name), 'utf8');
  const { policies, entities, schema, requests } = JSON.parse(read(file)) as Case;
  const schemaJson = cedar.schemaToJsonWithResolvedTypes(read(schema));
  const parsed = parsePolicies(read(policies));
  if (schemaJson.type === 'failure' || parsed === undefined) {
    tally.unreadable += requests.length;
    return;
  }
  const passed = JSON.parse(read(entities)) as EntityJson[];
  const declared = passed.filter(({ uid }) => !isAction('__entity' in uid ? uid.__entity : uid));
  for (const { principal, action, resource, context, ...expected } of requests) {
    const request = { principal, action, resource, context, entities: declared };
    const found = decideCompiled(parsed, schemaJson.json, request);
    if (found === undefined) {
      tally.handedBack++;
    } else if (isSame(found, expected)) {
      tally.agreed++;
      if (found.decision === 'allow') tally.allowed++;
      if (found.errors.length > 0) tally.withErrors++;
    } else {
      tally.differed++;
      process.stderr.write(`${file}: ${JSON.stringify({ expected, found })}\n`);
    }
  }
}

/** Actions and their groups come from the schema. */
const isAction = ({ type }: TypeAndId): boolean => type === 'Action' || type.endsWith('::Action');

function parsePolicies(text: string): ReadonlyMap<string, PolicyJson> | undefined {
  const parts = cedar.policySetTextToParts(text);
  if (parts.type === 'failure' || parts.policy_templates.length > 0) return undefined;
  const policies = new Map<string, PolicyJson>();
  for (const [i, policy] of parts.policies.entries()) {
    const answer = cedar.policyToJson(policy);
    if (answer.type === 'failure') return undefined;
    policies.set(`policy${i}`, answer.json);
  }
  return policies;
}

function isSame(a: Outcome, b: Outcome): boolean {
  const sorted = ({ decision, reason, errors }: Outcome) => [decision, reason.toSorted(), errors.toSorted()];
  return JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
}

main();
