import type { Environment } from './environment.ts';
import type { FirstTest, Order } from './first-test.ts';
import { EvaluationError } from './outcome.ts';
import { keyOf, keysOf, type Long, type Value } from './value.ts';

/**
 * Positions of the policies whose first test is true, or cannot be told without evaluating them, in order. All others
 * do not hold, and do not err.
 */
export type Sieve = (environment: Environment) => readonly number[];

type Placed = { readonly at: number; readonly test: FirstTest };

/** Many rules that look at one attribute cost one look at it, not one each. */
export function createSieve(tests: readonly (FirstTest | undefined)[]): Sieve {
  const always: number[] = [];
  const byKey = new Map<string, Placed[]>();
  for (const [at, test] of tests.entries()) {
    if (test === undefined) always.push(at);
    else placedAt(byKey, test.key).push({ at, test });
  }
  const groups = [...byKey.values()].map(groupOf);
  return (environment) => {
    const found = [...always];
    for (const group of groups) pick(group, environment, found);
    return found.sort((a, b) => a - b);
  };
}

function placedAt(byKey: Map<string, Placed[]>, key: string): Placed[] {
  const placed = byKey.get(key) ?? [];
  byKey.set(key, placed);
  return placed;
}

type Group = {
  readonly subject: FirstTest['subject'];
  readonly all: readonly number[];
  /** False when the value is of another type than the tests are for: each then says so by itself. */
  readonly select: (value: Value, found: number[]) => boolean;
};

function pick({ subject, all, select }: Group, environment: Environment, found: number[]): void {
  let value: Value;
  try {
    value = subject(environment);
  } catch (error) {
    if (!(error instanceof EvaluationError)) throw error;
    addAll(all, found);
    return;
  }
  if (!select(value, found)) addAll(all, found);
}

function addAll(positions: readonly number[] | undefined, found: number[]): void {
  for (const at of positions ?? []) found.push(at);
}

function groupOf(placed: readonly Placed[]): Group {
  const [first] = placed;
  if (first === undefined) throw new TypeError('a group of no policies');
  const { subject, wants } = first.test;
  return { subject, all: placed.map(({ at }) => at), select: selectorOf(wants.kind, placed) };
}

function selectorOf(kind: FirstTest['wants']['kind'], placed: readonly Placed[]): Group['select'] {
  switch (kind) {
    case 'equals':
      return byEquality(placed);
    case 'contains':
      return byElement(placed);
    case 'begins':
      return byPrefix(placed);
    default:
      return byOrder(kind, placed);
  }
}

function positions(placed: readonly Placed[], keyFor: (wants: FirstTest['wants']) => string) {
  const table = new Map<string, number[]>();
  for (const { at, test } of placed) {
    const key = keyFor(test.wants);
    const known = table.get(key);
    if (known === undefined) table.set(key, [at]);
    else known.push(at);
  }
  return table;
}

const wantedKey = (wants: FirstTest['wants']): string => ('value' in wants ? keyOf(wants.value) : '');

function byEquality(placed: readonly Placed[]): Group['select'] {
  const table = positions(placed, wantedKey);
  return (value, found) => {
    addAll(table.get(keyOf(value)), found);
    return true;
  };
}

function byElement(placed: readonly Placed[]): Group['select'] {
  const table = positions(placed, wantedKey);
  return (value, found) => {
    if (typeof value !== 'object' || value.tag !== 'set') return false;
    for (const key of keysOf(value)) addAll(table.get(key), found);
    return true;
  };
}

/** Longer beginnings are compared as far as this, so that there are few lengths to try. Characters. */
const MAX_PREFIX = 32;

function byPrefix(placed: readonly Placed[]): Group['select'] {
  const beginning = (wants: FirstTest['wants']) =>
    'prefix' in wants ? wants.prefix.slice(0, MAX_PREFIX) : '';
  const table = positions(placed, beginning);
  const lengths = [...new Set([...table.keys()].map((prefix) => prefix.length))];
  return (value, found) => {
    if (typeof value !== 'string') return false;
    for (const length of lengths) {
      if (value.length >= length) addAll(table.get(value.slice(0, length)), found);
    }
    return true;
  };
}

function byOrder(order: Order, placed: readonly Placed[]): Group['select'] {
  const bounds = placed
    .flatMap(({ at, test: { wants } }) => ('bound' in wants ? [{ at, bound: wants.bound }] : []))
    .sort((a, b) => (a.bound < b.bound ? -1 : a.bound > b.bound ? 1 : 0));
  if (order === '<' || order === '<=') bounds.reverse();
  const holds = ORDER[order];
  return (value, found) => {
    if (typeof value !== 'number' && typeof value !== 'bigint') return false;
    for (const { at, bound } of bounds) {
      if (!holds(value, bound)) break;
      found.push(at);
    }
    return true;
  };
}

const ORDER: Readonly<Record<Order, (a: Long, b: Long) => boolean>> = {
  '<': (a, b) => a < b,
  '<=': (a, b) => a <= b,
  '>': (a, b) => a > b,
  '>=': (a, b) => a >= b,
};
