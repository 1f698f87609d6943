import { EvaluationError } from './outcome.ts';
import type { Long } from './value.ts';

const MIN = -(2n ** 63n);
const MAX = 2n ** 63n - 1n;

/** The one form of an integer; undefined when it does not fit into 64 bits. */
export function toLong(exact: bigint): Long | undefined {
  if (exact < MIN || exact > MAX) return undefined;
  const short = Number(exact);
  return Number.isSafeInteger(short) ? short : exact;
}

/** As `a + b`; throws an `EvaluationError` on overflow, like the others. */
export function add(a: Long, b: Long): Long {
  if (typeof a === 'number' && typeof b === 'number') {
    const sum = a + b;
    if (Number.isSafeInteger(sum)) return sum;
  }
  return toLong(BigInt(a) + BigInt(b)) ?? overflow('add', a, b);
}

export function subtract(a: Long, b: Long): Long {
  if (typeof a === 'number' && typeof b === 'number') {
    const difference = a - b;
    if (Number.isSafeInteger(difference)) return difference;
  }
  return toLong(BigInt(a) - BigInt(b)) ?? overflow('subtract', a, b);
}

export function multiply(a: Long, b: Long): Long {
  if (typeof a === 'number' && typeof b === 'number') {
    const product = a * b;
    if (Number.isSafeInteger(product)) return product + 0; // no -0
  }
  return toLong(BigInt(a) * BigInt(b)) ?? overflow('multiply', a, b);
}

export function negate(a: Long): Long {
  if (typeof a === 'number') return 0 - a;
  const negated = toLong(-a);
  if (negated !== undefined) return negated;
  throw new EvaluationError(`integer overflow while attempting to negate the value \`${a}\``);
}

function overflow(operation: string, a: Long, b: Long): never {
  throw new EvaluationError(
    `integer overflow while attempting to ${operation} the values \`${a}\` and \`${b}\``,
  );
}
