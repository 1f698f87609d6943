import type { DetailedError, PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import { annotationsOf } from './policy.ts';
import {
  fromByteOffset,
  type PolicySource,
  type Problem,
  positionAt,
  type Statement,
} from './policy-text.ts';

/** A statement of a file; `json` when it could be parsed. */
type Located = { readonly source: PolicySource; readonly statement: Statement; readonly json?: PolicyJson };

/** Cedar's errors about one policy, in terms of the file it stands in. */
export function toProblems(located: Located, errors: readonly DetailedError[]): Problem[] {
  const { source, statement, json } = located;
  const id = json === undefined ? undefined : annotationsOf(json).id;
  return errors.flatMap((error) => {
    const [label] = error.sourceLocations ?? [];
    const start = statement.start + (label === undefined ? 0 : fromByteOffset(statement.text, label.start));
    const help = error.help ?? label?.label ?? undefined;
    const own = problemAt(source, start, withoutPreamble(error.message), id, help);
    return [own, ...toProblems(located, error.related ?? [])];
  });
}

function withoutPreamble(message: string): string {
  return message.replace(/^failed to parse policy from string: |^for policy `policy\d+`[,:] /, '');
}

export function problemAt(
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

/**
 * The validator repeats itself for every action that a policy is about: of several problems in one place one is
 * kept, with help if any has it.
 */
export function oneForEachPlace(problems: readonly Problem[]): Problem[] {
  const places = Map.groupBy(problems, ({ file, line, column }) => `${line}:${column}:${file}`);
  return [...places.values()].flatMap((same) => {
    const distinct = new Map(same.map((problem) => [problem.message, problem]));
    const sorted = [...distinct.values()].sort(
      (a, b) => Number(!a.help) - Number(!b.help) || byMessage(a, b),
    );
    const [first, ...others] = sorted;
    if (first === undefined || others.length === 0) return sorted;
    return [{ ...first, message: `${first.message}, and ${others.length} more like it` }];
  });
}

function byMessage(a: Problem, b: Problem): number {
  return a.message < b.message ? -1 : 1;
}

export function byPlace(a: Problem, b: Problem): number {
  if (a.file !== b.file) return a.file < b.file ? -1 : 1;
  return a.line - b.line || a.column - b.column;
}
