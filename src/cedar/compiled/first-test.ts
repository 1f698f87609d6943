import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import { compileExpression, type Expression, literal } from './compile-expression.ts';
import { NotRepresented } from './outcome.ts';
import { literalPrefix } from './pattern.ts';
import type { Long, Value } from './value.ts';

/**
 * What the conditions of a policy evaluate before all else: something that many policies look at, and what this one
 * wants it to be. Where the test is false the policy does not hold, whatever else it says.
 */
export type FirstTest = {
  /** What is looked at, and a text that is equal for equal ones. */
  readonly subject: Expression;
  readonly key: string;
  readonly wants: Wanted;
};

export type Wanted =
  | { readonly kind: 'equals'; readonly value: Value }
  | { readonly kind: 'contains'; readonly value: Value }
  | { readonly kind: 'begins'; readonly prefix: string }
  | { readonly kind: Order; readonly bound: Long };

export type Order = '<' | '<=' | '>' | '>=';

const ORDERS: ReadonlySet<string> = new Set(['<', '<=', '>', '>=']);

/** Undefined where the first test is of another form. */
export function firstTestOf(conditions: PolicyJson['conditions']): FirstTest | undefined {
  const [first] = conditions;
  if (first?.kind !== 'when') return undefined;
  const [operator, operand] = leftmost(first.body);
  if (operator === undefined || !isRecord(operand)) return undefined;
  const { left, right } = operand;
  try {
    const wants = wantedOf(operator, right, operand['pattern']);
    if (wants === undefined || !isPath(left)) return undefined;
    return { subject: compileExpression(left), key: `${wants.kind} ${JSON.stringify(left)}`, wants };
  } catch (error) {
    if (error instanceof NotRepresented) return undefined;
    throw error;
  }
}

/** `a && b && c` evaluates `a` first. */
function leftmost(body: unknown): [string | undefined, unknown] {
  let at: unknown = body;
  for (;;) {
    const [member, ...others] = isRecord(at) ? Object.entries(at) : [];
    if (member === undefined || others.length > 0) return [undefined, undefined];
    const [operator, operand] = member;
    if (operator !== '&&' || !isRecord(operand)) return member;
    at = operand['left'];
  }
}

function wantedOf(operator: string, right: unknown, pattern: unknown): Wanted | undefined {
  if (operator === 'like') {
    const prefix = literalPrefix(pattern);
    return prefix === '' ? undefined : { kind: 'begins', prefix };
  }
  if (!isRecord(right) || Object.keys(right).length !== 1 || !Object.hasOwn(right, 'Value')) return undefined;
  const value = literal(right['Value']);
  if (operator === '==') return { kind: 'equals', value };
  if (operator === 'contains') return { kind: 'contains', value };
  return isOrder(operator) && typeof value === 'number' ? { kind: operator, bound: value } : undefined;
}

const isOrder = (operator: string): operator is Order => ORDERS.has(operator);

/** `context.args.amount`: a variable and attributes. */
function isPath(json: unknown): boolean {
  let at = json;
  while (isRecord(at) && isRecord(at['.'])) at = at['.']['left'];
  return isRecord(at) && Object.hasOwn(at, 'Var');
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
