import type { DetailedError, PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import { err, ok, type Result, SallyportError, sha256 } from '../base/index.ts';
import type { Catalogue } from './catalogue.ts';
import { type Cedar, loadCedar } from './cedar-wasm.ts';
import type { PolicyRevision } from './decision.ts';
import { createModel, type PolicyModel } from './model.ts';
import { annotationsOf, type Policy, toPolicy } from './policy.ts';
import {
  formatProblem,
  fromByteOffset,
  type PolicySource,
  type Problem,
  positionAt,
  type Statement,
  splitPolicies,
} from './policy-text.ts';
import { schemaForPolicies } from './schema.ts';

/** Policies that were found valid together, and what they speak of. Immutable. */
export type PolicySet = {
  readonly policies: readonly Policy[];
  readonly model: PolicyModel;
  readonly revision: PolicyRevision;
  /** What an operator should know although nothing is wrong. */
  readonly warnings: readonly string[];
};

const MAX_FILE_BYTES = 256 * 1024;
const MAX_POLICIES = 10_000;

/**
 * Parses and validates policies against the schema of a catalogue: all of them or none. Warnings of the
 * validator count as errors: a policy that can never apply is a mistake. Reports every problem at once.
 * Throws `ERR_CATALOGUE_INVALID` when no schema can be made from the catalogue.
 */
export function parsePolicySet(
  sources: readonly PolicySource[],
  catalogue: Catalogue,
  load: () => Cedar = loadCedar,
): Result<PolicySet, readonly Problem[]> {
  const model = createModel(catalogue);
  const parser: Parser = { cedar: load(), load };
  const parsed = sources.flatMap((source) => parseFile(source, parser));
  const problems = parsed.flatMap((entry) => entry.problems);
  problems.push(...duplicateIds(parsed), ...validate(parsed, model, parser));
  if (problems.length > 0) return err(problems.sort(byPlace));
  const policies = parsed.flatMap((entry) => entry.policy ?? []);
  const texts = parsed.map(({ statement, policy }) => [policy?.id, statement.text]).sort();
  const revision = sha256(JSON.stringify([model.digest, texts])).slice(0, 16);
  const warnings = policies.length === 0 ? ['there are no policies, so every request is refused'] : [];
  return ok({ policies, model, revision, warnings });
}

/** As an exception, for the start of the program. `ERR_POLICY_INVALID` lists every problem, one a line. */
export function policyError(problems: readonly Problem[]): SallyportError {
  const lines = problems.map((problem) => `\n  ${formatProblem(problem)}`);
  return new SallyportError('ERR_POLICY_INVALID', `the policies are not valid:${lines.join('')}`);
}

/** A statement of a file, with all that was made of it. */
type Parsed = {
  readonly source: PolicySource;
  readonly statement: Statement;
  readonly json?: PolicyJson;
  readonly policy?: Policy;
  readonly problems: readonly Problem[];
};

/** The instance that texts are parsed with; one that has thrown is not used again. */
type Parser = { cedar: Cedar; readonly load: () => Cedar };

function parseFile(source: PolicySource, parser: Parser): readonly Parsed[] {
  const none: Statement = { text: '', start: 0 };
  const refuse = (message: string, start = 0): Parsed[] => {
    return [{ source, statement: none, problems: [problemAt(source, start, message)] }];
  };
  if (Buffer.byteLength(source.text) > MAX_FILE_BYTES) {
    return refuse(`the file is larger than ${MAX_FILE_BYTES / 1024} KiB; split it`);
  }
  const statements = splitPolicies(source.text);
  if ('tooDeepAt' in statements) return refuse('brackets nest too deeply', statements.tooDeepAt);
  if (statements.length > MAX_POLICIES) return refuse(`the file has more than ${MAX_POLICIES} policies`);
  return statements.map((statement) => parseStatement(source, statement, parser));
}

function parseStatement(source: PolicySource, statement: Statement, parser: Parser): Parsed {
  const entry = { source, statement };
  try {
    const answer = parser.cedar.policyToJson(statement.text);
    if (answer.type === 'failure') return { ...entry, problems: toProblems(entry, answer.errors) };
    const policy = toPolicy(answer.json, statement);
    if (policy.ok) return { ...entry, json: answer.json, policy: policy.value, problems: [] };
    const { id } = annotationsOf(answer.json);
    const problems = policy.error.map((message) => problemAt(source, statement.start, message, id));
    return { ...entry, json: answer.json, problems };
  } catch {
    parser.cedar = parser.load();
    const message = 'the policy is too complex for the parser; split it';
    return { ...entry, problems: [problemAt(source, statement.start, message)] };
  }
}

function duplicateIds(parsed: readonly Parsed[]): Problem[] {
  const seen = new Map<string, Problem>();
  const problems: Problem[] = [];
  for (const { source, statement, json } of parsed) {
    const id = json === undefined ? undefined : annotationsOf(json).id;
    if (id === undefined) continue;
    const here = problemAt(source, statement.start, '', id);
    const first = seen.get(id);
    if (first === undefined) seen.set(id, here);
    else problems.push({ ...here, message: `the @id is taken by ${first.file}:${first.line}` });
  }
  return problems;
}

/** Type-checks every policy that could be parsed, also beside others that could not. */
function validate(parsed: readonly Parsed[], model: PolicyModel, parser: Parser): Problem[] {
  const byKey = new Map(
    parsed.filter((entry) => entry.json !== undefined).map((entry, i) => [`policy${i}`, entry]),
  );
  const staticPolicies = Object.fromEntries([...byKey].map(([key, { statement }]) => [key, statement.text]));
  const schema = schemaForPolicies(model);
  const answer = parser.cedar.validate({ schema, policies: { staticPolicies } });
  if (answer.type === 'failure') {
    const detail = answer.errors.map((error) => error.message).join('; ');
    throw new SallyportError('ERR_CATALOGUE_INVALID', `no schema can be made from the catalogue: ${detail}`);
  }
  return oneForEachPlace(
    [...answer.validationErrors, ...answer.validationWarnings].flatMap(({ policyId, error }) => {
      const entry = byKey.get(policyId);
      return entry === undefined ? [] : toProblems(entry, [error]);
    }),
  );
}

/** The validator repeats itself for every action a policy is about; one of them, with help if any has it, will do. */
function oneForEachPlace(problems: readonly Problem[]): Problem[] {
  const places = Map.groupBy(problems, ({ file, line, column }) => `${line}:${column}:${file}`);
  return [...places.values()].flatMap((same) => {
    const distinct = new Map(same.map((problem) => [problem.message, problem]));
    const sorted = [...distinct.values()].sort((a, b) => Number(!a.help) - Number(!b.help) || byText(a, b));
    const [first, ...others] = sorted;
    if (first === undefined || others.length === 0) return sorted;
    return [{ ...first, message: `${first.message}, and ${others.length} more like it` }];
  });
}

function byText(a: Problem, b: Problem): number {
  return a.message < b.message ? -1 : 1;
}

function toProblems(
  { source, statement, json }: Pick<Parsed, 'source' | 'statement' | 'json'>,
  errors: readonly DetailedError[],
): Problem[] {
  const id = json === undefined ? undefined : annotationsOf(json).id;
  return errors.flatMap((error) => {
    const [label] = error.sourceLocations ?? [];
    const start = statement.start + (label === undefined ? 0 : fromByteOffset(statement.text, label.start));
    const help = error.help ?? label?.label ?? undefined;
    const own = problemAt(source, start, withoutPreamble(error.message), id, help);
    return [own, ...toProblems({ source, statement, ...(json && { json }) }, error.related ?? [])];
  });
}

function withoutPreamble(message: string): string {
  return message
    .replace(/^failed to parse policy from string: /, '')
    .replace(/^for policy `policy\d+`[,:] /, '');
}

function problemAt(
  source: PolicySource,
  start: number,
  message: string,
  id?: string,
  help?: string,
): Problem {
  return {
    file: source.file,
    ...positionAt(source.text, start),
    ...(id === undefined ? {} : { policy: id }),
    message,
    ...(help === undefined ? {} : { help }),
  };
}

function byPlace(a: Problem, b: Problem): number {
  if (a.file !== b.file) return a.file < b.file ? -1 : 1;
  return a.line - b.line || a.column - b.column;
}
