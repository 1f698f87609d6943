import type { DetailedError, PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import { err, ok, type Result, SallyportError, sha256 } from '../base/index.ts';
import { NAMESPACE } from './arg-types.ts';
import type { Catalogue } from './catalogue.ts';
import { type Cedar, loadCedar } from './cedar-wasm.ts';
import type { PolicyRevision } from './decision.ts';
import { didYouMean } from './did-you-mean.ts';
import { createModel, type PolicyModel } from './model.ts';
import { annotationsOf, isTooDeep, type Policy, toPolicy } from './policy.ts';
import { byPlace, oneForEachPlace, problemAt, toProblems } from './policy-problems.ts';
import {
  formatProblem,
  type PolicySource,
  type Problem,
  type Statement,
  splitPolicies,
} from './policy-text.ts';
import { schemaForPolicies } from './schema.ts';

/** Policies that were found valid together, and what they speak of. Immutable. */
export type PolicySet = {
  readonly policies: readonly Policy[];
  readonly model: PolicyModel;
  readonly revision: PolicyRevision;
  /** What the revision is the beginning of the digest of: the catalogue's digest, and every policy by id. */
  readonly source: string;
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
  const source = JSON.stringify([model.digest, texts]);
  const revision = sha256(source).slice(0, 16);
  const warnings = policies.length === 0 ? ['there are no policies, so every request is refused'] : [];
  return ok({ policies, model, revision, source, warnings });
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
    if (isTooDeep(answer.json)) {
      const message = 'conditions nest too deeply; use a set literal or split the policy';
      return {
        ...entry,
        problems: [problemAt(source, statement.start, message, annotationsOf(answer.json).id)],
      };
    }
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
  const actions = Object.keys(schema[NAMESPACE]?.actions ?? {});
  return oneForEachPlace(
    [...answer.validationErrors, ...answer.validationWarnings].flatMap(({ policyId, error }) => {
      const entry = byKey.get(policyId);
      return entry === undefined ? [] : toProblems(entry, [withNearestAction(error, actions)]);
    }),
  );
}

/** Cedar's own suggestion for an action is often far off. */
function withNearestAction(error: DetailedError, actions: readonly string[]): DetailedError {
  const name = /unrecognized action `\w+::Action::"(.*)"`/.exec(error.message)?.[1];
  if (name === undefined) return error;
  const nearest = didYouMean(name, actions);
  return {
    ...error,
    help: nearest === undefined ? null : `did you mean \`${NAMESPACE}::Action::"${nearest}"\`?`,
  };
}
