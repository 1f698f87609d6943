import { getAttribute, getTag, hasAttribute, hasPath, hasTag, isIn } from './attributes.ts';
import type { Environment } from './environment.ts';
import { METHODS, parseDatetime, parseDecimal, parseDuration } from './extensions.ts';
import { add, multiply, negate, subtract } from './long.ts';
import { EvaluationError, NotRepresented } from './outcome.ts';
import { compilePattern } from './pattern.ts';
import {
  areEqual,
  asBool,
  asEntity,
  asLong,
  asSet,
  asString,
  entityUid,
  includes,
  includesAll,
  type Long,
  setOf,
  typeNameOf,
  type Value,
} from './value.ts';

/** Throws an `EvaluationError` where Cedar errs, and `NotRepresented` where only Cedar knows. */
export type Expression = (environment: Environment) => Value;

/**
 * Compiles an expression of Cedar's JSON policy format. What is not known to the last member of its JSON is not
 * compiled: it throws `NotRepresented`.
 */
export function compileExpression(json: unknown): Expression {
  const [operator, operand] = onlyMember(json);
  const compile = SPECIAL[operator];
  if (compile !== undefined) return compile(operand);
  const unary = UNARY[operator];
  if (unary !== undefined) return compileUnary(operand, unary);
  const binary = BINARY[operator];
  if (binary !== undefined) return compileBinary(operand, binary);
  return compileCall(operator, operand);
}

type Compiler = (operand: unknown) => Expression;

const SPECIAL: Readonly<Record<string, Compiler>> = withoutPrototype({
  Value: compileLiteral,
  Var: compileVariable,
  Set: compileSet,
  Record: compileRecord,
  '&&': (operand) => compileLogical(operand, false),
  '||': (operand) => compileLogical(operand, true),
  '==': (operand) => compileEquality(operand, true),
  '!=': (operand) => compileEquality(operand, false),
  'if-then-else': compileChoice,
  '.': compileAccess,
  has: compileHas,
  like: compileLike,
  is: compileIs,
});

type Unary = (value: Value) => Value;

const UNARY: Readonly<Record<string, Unary>> = withoutPrototype({
  '!': (value) => !asBool(value),
  neg: (value) => negate(asLong(value)),
  isEmpty: (value) => asSet(value).items.length === 0,
});

type Binary = (left: Value, right: Value, environment: Environment) => Value;

const BINARY: Readonly<Record<string, Binary>> = withoutPrototype({
  '+': (a, b) => add(asLong(a), asLong(b)),
  '-': (a, b) => subtract(asLong(a), asLong(b)),
  '*': (a, b) => multiply(asLong(a), asLong(b)),
  '<': (a, b) => compare(a, b, (x, y) => x < y),
  '<=': (a, b) => compare(a, b, (x, y) => x <= y),
  '>': (a, b) => compare(a, b, (x, y) => x > y),
  '>=': (a, b) => compare(a, b, (x, y) => x >= y),
  in: isIn,
  contains: (a, b) => includes(asSet(a), b),
  containsAll: (a, b) => {
    const whole = asSet(a);
    return includesAll(whole, asSet(b));
  },
  containsAny: (a, b) => {
    const whole = asSet(a);
    return asSet(b).items.some((item) => includes(whole, item));
  },
  getTag,
  hasTag,
});

/** A lookup must not find what `Object.prototype` has. */
function withoutPrototype<T>(table: Record<string, T>): Record<string, T> {
  return Object.assign(Object.create(null) as Record<string, T>, table);
}

/** Longs, times and durations have an order, each among themselves. */
function compare(a: Value, b: Value, order: (a: Long, b: Long) => boolean): boolean {
  if (typeof a === 'object' && (a.tag === 'datetime' || a.tag === 'duration')) {
    if (typeof b === 'object' && b.tag === a.tag) return order(a.amount, b.amount);
    throw new EvaluationError(`type error: expected ${a.tag}, got ${typeNameOf(b)}`);
  }
  return order(asLong(a), asLong(b));
}

function compileUnary(operand: unknown, apply: Unary): Expression {
  const { arg } = membersOf(operand, ['arg']);
  const inner = compileExpression(arg);
  return (environment) => apply(inner(environment));
}

function compileBinary(operand: unknown, apply: Binary): Expression {
  const [left, right] = compileSides(operand);
  return (environment) => apply(left(environment), right(environment), environment);
}

function compileSides(operand: unknown): [Expression, Expression] {
  const { left, right } = membersOf(operand, ['left', 'right']);
  return [compileExpression(left), compileExpression(right)];
}

function compileEquality(operand: unknown, whenEqual: boolean): Expression {
  const [left, right] = compileSides(operand);
  return (environment) => areEqual(left(environment), right(environment)) === whenEqual;
}

/** `&&` and `||`: the right side counts only if the left side is not `decided` already. */
function compileLogical(operand: unknown, decided: boolean): Expression {
  const [left, right] = compileSides(operand);
  return (environment) => {
    return asBool(left(environment)) === decided ? decided : asBool(right(environment));
  };
}

function compileChoice(operand: unknown): Expression {
  const parts = membersOf(operand, ['if', 'then', 'else']);
  const condition = compileExpression(parts['if']);
  const yes = compileExpression(parts['then']);
  const no = compileExpression(parts['else']);
  return (environment) => (asBool(condition(environment)) ? yes(environment) : no(environment));
}

function compileLiteral(operand: unknown): Expression {
  const value = literal(operand);
  return () => value;
}

/** The value of a literal. Throws `NotRepresented` for one that is not held exactly. */
export function literal(json: unknown): Value {
  if (typeof json === 'boolean') return json;
  if (typeof json === 'string' && json.isWellFormed()) return json;
  if (typeof json === 'number' && Number.isSafeInteger(json)) return json + 0; // beyond, JSON has rounded it
  const { __entity: uid } = membersOf(json, ['__entity']);
  const { type, id } = membersOf(uid, ['type', 'id']);
  if (isText(type) && isText(id)) return entityUid(type, id);
  throw new NotRepresented('a literal of an unknown form');
}

function compileVariable(name: unknown): Expression {
  switch (name) {
    case 'principal':
      return (environment) => environment.principal;
    case 'action':
      return (environment) => environment.action;
    case 'resource':
      return (environment) => environment.resource;
    case 'context':
      return (environment) => environment.context;
    default:
      throw new NotRepresented('an unknown variable');
  }
}

function compileSet(items: unknown): Expression {
  if (!Array.isArray(items)) throw new NotRepresented('a set of an unknown form');
  const expressions = (items as unknown[]).map(compileExpression);
  if ((items as unknown[]).every(isLiteral)) {
    const constant = setOf((items as { Value: unknown }[]).map(({ Value: item }) => literal(item)));
    return () => constant;
  }
  return (environment) => setOf(expressions.map((expression) => expression(environment)));
}

function isLiteral(json: unknown): boolean {
  return typeof json === 'object' && json !== null && 'Value' in json;
}

function compileRecord(json: unknown): Expression {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new NotRepresented('a record of an unknown form');
  }
  const members = Object.entries(json).map(([name, member]) => [name, compileExpression(member)] as const);
  return (environment) => ({
    tag: 'record',
    members: new Map(members.map(([name, expression]) => [name, expression(environment)])),
  });
}

/** `owner.a.b` in one step, because there are many of them: fewer functions to fetch from memory. */
function compileAccess(operand: unknown): Expression {
  const names: string[] = [];
  let at: unknown = { '.': operand };
  while (isAccess(at)) {
    const { left, attr } = membersOf(at['.'], ['left', 'attr']);
    if (!isText(attr)) throw new NotRepresented('an attribute of an unknown form');
    names.unshift(attr);
    at = left;
  }
  const owner = compileExpression(at);
  return (environment) => {
    let value = owner(environment);
    for (const name of names) value = getAttribute(value, name, environment);
    return value;
  };
}

function isAccess(json: unknown): json is { readonly '.': unknown } {
  return typeof json === 'object' && json !== null && '.' in json && Object.keys(json).length === 1;
}

function compileHas(operand: unknown): Expression {
  const { left, attr } = membersOf(operand, ['left', 'attr']);
  const owner = compileExpression(left);
  if (isText(attr)) return (environment) => hasAttribute(owner(environment), attr, environment);
  if (!Array.isArray(attr) || attr.length === 0 || !attr.every(isText)) {
    throw new NotRepresented('an attribute of an unknown form');
  }
  return (environment) => hasPath(owner(environment), attr, environment);
}

function compileLike(operand: unknown): Expression {
  const { left, pattern } = membersOf(operand, ['left', 'pattern']);
  const text = compileExpression(left);
  const matches = compilePattern(pattern);
  return (environment) => matches(asString(text(environment)));
}

function compileIs(operand: unknown): Expression {
  const hasGroup = typeof operand === 'object' && operand !== null && 'in' in operand;
  const parts = membersOf(operand, hasGroup ? ['left', 'entity_type', 'in'] : ['left', 'entity_type']);
  const { left, entity_type: type } = parts;
  if (!isText(type)) throw new NotRepresented('an entity type of an unknown form');
  const owner = compileExpression(left);
  if (!hasGroup) return (environment) => asEntity(owner(environment)).type === type;
  const group = compileExpression(parts['in']);
  return (environment) => {
    const uid = asEntity(owner(environment));
    return uid.type === type && isIn(uid, group(environment), environment);
  };
}

const CONSTRUCTORS: ReadonlyMap<string, (text: string) => Value | undefined> = new Map([
  ['decimal', parseDecimal],
  ['datetime', parseDatetime],
  ['duration', parseDuration],
]);

/** A function or method of an extension type; constructors only of literals. */
function compileCall(name: string, operand: unknown): Expression {
  const args: unknown[] = Array.isArray(operand) ? operand : [];
  const construct = CONSTRUCTORS.get(name);
  if (construct !== undefined && args.length === 1) {
    const { Value: text } = membersOf(args[0], ['Value']);
    const value = isText(text) ? construct(text) : undefined;
    if (value !== undefined) return () => value;
  }
  const method = METHODS.get(name);
  if (method === undefined || method.arity !== args.length) throw new NotRepresented(`an operator "${name}"`);
  const self = compileExpression(args[0]);
  if (method.arity === 1) return (environment) => method.apply(self(environment), NOTHING);
  const argument = compileExpression(args[1]);
  return (environment) => method.apply(self(environment), argument(environment));
}

const NOTHING = false;

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.isWellFormed();
}

function onlyMember(json: unknown): [string, unknown] {
  if (typeof json === 'object' && json !== null && !Array.isArray(json)) {
    const [member, ...others] = Object.entries(json);
    if (member !== undefined && others.length === 0) return member;
  }
  throw new NotRepresented('an expression of an unknown form');
}

/** The members of an object that has these and no others. */
function membersOf<Name extends string>(json: unknown, names: readonly Name[]): Record<Name, unknown> {
  if (typeof json === 'object' && json !== null && Object.keys(json).length === names.length) {
    if (names.every((name) => Object.hasOwn(json, name))) return json as Record<Name, unknown>;
  }
  throw new NotRepresented('an expression of an unknown form');
}
