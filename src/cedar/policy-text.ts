/** Why a policy file is not in force, and where: `line` and `column` count from 1, columns in UTF-16 units. */
export type Problem = {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** `@id`, when it is known. */
  readonly policy?: string;
  readonly message: string;
  /** Cedar's suggestion, such as the name that was probably meant. */
  readonly help?: string;
};

/** One line as compilers write it, so that editors can jump there. */
export function formatProblem(problem: Problem): string {
  const { file, line, column, policy, message, help } = problem;
  const whose = policy === undefined ? '' : `policy "${policy}": `;
  return `${file}:${line}:${column}: ${whose}${message}${help === undefined ? '' : ` (${help})`}`;
}

/** A file of policies. */
export type PolicySource = { readonly file: string; readonly text: string };

/** One policy in its file. `start` is the offset of `text` in the file, in UTF-16 units. */
export type Statement = {
  readonly text: string;
  readonly start: number;
  /** Offset in `text` just after the scope `(principal, action, resource)`; undefined when there is none. */
  readonly conditions?: number;
};

/** What Cedar's parser takes without running out of stack: it ends at about 128 brackets. */
const MAX_NESTING = 48;

const TOKEN = /\s+|\/\/[^\n\r]*|"(?:[^"\\]|\\[\s\S])*"?|[A-Za-z_][A-Za-z0-9_]*|[\s\S]/g;

/** Offset of the bracket that goes too deep. */
type TooDeep = { readonly tooDeepAt: number };

/**
 * Splits a file into its policies without understanding them, so that no text reaches the parser that could
 * exhaust it, and positions can be found again.
 */
export function splitPolicies(source: string): readonly Statement[] | TooDeep {
  const statements: Statement[] = [];
  let statement = openStatement();
  for (const match of source.matchAll(TOKEN)) {
    const [token] = match;
    if (token.trim() === '' || token.startsWith('//')) continue;
    statement.start ??= match.index;
    if ('([{'.includes(token)) {
      if (++statement.depth > MAX_NESTING) return { tooDeepAt: match.index };
      if (statement.depth === 1 && statement.expectsScope) statement.inScope = true;
    } else if (')]}'.includes(token)) {
      statement.depth--;
      if (statement.depth === 0 && statement.inScope) closeScope(statement, match.index + 1);
    } else if (token === ';') {
      statements.push(closeStatement(statement, source, match.index + 1));
      statement = openStatement();
      continue;
    }
    statement.expectsScope = (token === 'permit' || token === 'forbid') && statement.last !== '@';
    statement.last = token;
  }
  if (statement.start !== undefined) statements.push(closeStatement(statement, source, source.length));
  return statements;
}

type OpenStatement = {
  start: number | undefined;
  depth: number;
  last: string;
  expectsScope: boolean;
  inScope: boolean;
  conditions: number | undefined;
};

function openStatement(): OpenStatement {
  return { start: undefined, depth: 0, last: '', expectsScope: false, inScope: false, conditions: undefined };
}

function closeScope(statement: OpenStatement, end: number): void {
  statement.inScope = false;
  statement.conditions ??= end;
}

function closeStatement(statement: OpenStatement, source: string, end: number): Statement {
  const start = statement.start ?? end;
  const text = source.slice(start, end);
  return statement.conditions === undefined
    ? { text, start }
    : { text, start, conditions: statement.conditions - start };
}

/** Line and column of an offset. */
export function positionAt(source: string, offset: number): { line: number; column: number } {
  const before = source.slice(0, offset);
  const lineStart = before.lastIndexOf('\n') + 1;
  return { line: before.split('\n').length, column: offset - lineStart + 1 };
}

/** Cedar counts in UTF-8 bytes; JavaScript in UTF-16 units. */
export function fromByteOffset(text: string, bytes: number): number {
  return Buffer.from(text).subarray(0, bytes).toString().length;
}
