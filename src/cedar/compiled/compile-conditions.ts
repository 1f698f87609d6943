import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import { compileExpression, type Expression } from './compile-expression.ts';
import type { Environment } from './environment.ts';
import { EvaluationError, NotRepresented } from './outcome.ts';
import { asBool } from './value.ts';

/** Do the conditions of a policy hold? A text instead says how their evaluation erred. */
export type Conditions = (environment: Environment) => boolean | string;

/** Undefined for conditions that only Cedar can evaluate. */
export function compileConditions(conditions: PolicyJson['conditions']): Conditions | undefined {
  try {
    const clauses = conditions.map(({ kind, body }) => ({
      body: compileExpression(body),
      expected: expects(kind),
    }));
    return (environment) => holds(clauses, environment);
  } catch (error) {
    if (error instanceof NotRepresented) return undefined;
    throw error;
  }
}

function expects(kind: string): boolean {
  if (kind !== 'when' && kind !== 'unless') throw new NotRepresented('a clause of an unknown kind');
  return kind === 'when';
}

type Clause = { readonly body: Expression; readonly expected: boolean };

function holds(clauses: readonly Clause[], environment: Environment): boolean | string {
  try {
    for (const { body, expected } of clauses) {
      if (asBool(body(environment)) !== expected) return false;
    }
    return true;
  } catch (error) {
    if (error instanceof EvaluationError) return error.message;
    throw error;
  }
}
