import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import { qualified } from './vocabulary.ts';

/** Which parts of a value conditions look at: all of it, or some attributes. */
export type ReadNode = { whole: boolean; readonly children: Map<string, ReadNode> };

/**
 * Everything conditions can observe of a request. A superset is sound, a subset is not: what is not named
 * here is not given to the engine.
 */
export type Reads = {
  readonly context: ReadNode;
  readonly principal: ReadNode;
  readonly resource: ReadNode;
  /** The variable itself is compared or is a value somewhere, so its identity matters. */
  principalItself: boolean;
  resourceItself: boolean;
  action: boolean;
  /** `in` or `is ... in` occurs, so ancestors matter. */
  hierarchy: boolean;
};

export function readsOf(policies: Iterable<PolicyJson>): Reads {
  const reads: Reads = {
    context: nothing(),
    principal: nothing(),
    resource: nothing(),
    principalItself: false,
    resourceItself: false,
    action: false,
    hierarchy: false,
  };
  for (const policy of policies) {
    for (const clause of policy.conditions) readExpression(clause.body, reads);
  }
  return reads;
}

export function nothing(): ReadNode {
  return { whole: false, children: new Map() };
}

/** How soon what is read changes: with the run, with every request of a run, with what is asked for. */
export type Pace = 'run' | 'step' | 'call';

const BY_CALL = ['args', 'derived', 'provenance', 'callHash', 'approval', 'uri', 'name'];
const BY_STEP = ['calls', 'toolCalls', 'denials', 'inFlight', 'capabilityCalls', 'treeToolCalls'];

/** Only a matter of speed: any answer is sound. */
export function paceOf({ context }: Reads): Pace {
  const { whole, children } = context;
  if (whole || BY_CALL.some((name) => children.has(name))) return 'call';
  const run = children.get('run');
  const readsCounters = run !== undefined && (run.whole || BY_STEP.some((name) => run.children.has(name)));
  return readsCounters || children.has('now') ? 'step' : 'run';
}

export const isRead = (node: ReadNode): boolean => node.whole || node.children.size > 0;

/**
 * Walks Cedar's JSON policy format. Every object in it that is not known to be a path is walked through all its
 * members, so that an operator added to Cedar later is still looked into.
 */
function readExpression(expression: unknown, reads: Reads): void {
  if (typeof expression !== 'object' || expression === null) return;
  if (Array.isArray(expression)) {
    for (const item of expression) readExpression(item, reads);
    return;
  }
  const path = toPath(expression);
  if (path !== undefined) {
    readPath(path, reads);
    return;
  }
  for (const [operator, operand] of Object.entries(expression)) {
    if (operator === 'Value') {
      readLiteral(operand, reads);
      continue;
    }
    if (operator === 'Record' && typeof operand === 'object' && operand !== null) {
      readExpression(Object.values(operand), reads); // its keys are names, not operators
      continue;
    }
    if (operator === 'in' || (operator === 'is' && hasMember(operand, 'in'))) reads.hierarchy = true;
    if (COMPARING.has(operator)) readCompared(operand, reads);
    else readExpression(operand, reads);
  }
}

/** Operators that look at an entity's identity, type or ancestors, never at its attributes. */
const COMPARING = new Set(['==', '!=', 'in', 'is']);

function readCompared(operands: unknown, reads: Reads): void {
  for (const operand of Object.values(operands ?? {})) {
    const variable = hasMember(operand, 'Var') ? operand.Var : undefined;
    if (variable === 'principal' || isRunLiteral(operand)) reads.principalItself = true;
    else if (variable === 'resource') reads.resourceItself = true;
    else if (hasMember(operand, 'Set')) readCompared(operand.Set, reads);
    else if (!hasMember(operand, 'Value')) readExpression(operand, reads);
  }
}

/** A run that is written out has ancestors only if it is the principal. */
function isRunLiteral(operand: unknown): boolean {
  return hasMember(operand, 'Value') && entityTypeOf(operand.Value) === qualified('AgentRun');
}

function entityTypeOf(literal: unknown): unknown {
  if (!hasMember(literal, '__entity') || !hasMember(literal.__entity, 'type')) return undefined;
  return literal.__entity.type;
}

const RESOURCES = new Set<unknown>([qualified('Tool'), qualified('Upstream')]);

/** An entity that is written out can be the principal or the resource, and its attributes can be read. */
function readLiteral(literal: unknown, reads: Reads): void {
  if (typeof literal !== 'object' || literal === null) return;
  const type = entityTypeOf(literal);
  if (type === undefined) {
    for (const member of Object.values(literal)) readLiteral(member, reads);
  } else if (type === qualified('AgentRun')) {
    readPath({ variable: 'principal', attributes: [] }, reads);
  } else if (RESOURCES.has(type)) {
    readPath({ variable: 'resource', attributes: [] }, reads);
  }
}

/** A variable and the attributes that are taken from it one after another. */
type Path = { readonly variable: string; readonly attributes: readonly string[] };

function toPath(expression: object): Path | undefined {
  if ('Var' in expression && typeof expression.Var === 'string') {
    return { variable: expression.Var, attributes: [] };
  }
  const access = '.' in expression ? expression['.'] : 'has' in expression ? expression.has : undefined;
  if (!isAccess(access)) return undefined;
  const path = toPath(access.left);
  return path && { variable: path.variable, attributes: path.attributes.concat(access.attr) };
}

function isAccess(value: unknown): value is { left: object; attr: string | string[] } {
  return (
    hasMember(value, 'left') &&
    hasMember(value, 'attr') &&
    typeof value.left === 'object' &&
    value.left !== null
  );
}

function hasMember<Name extends string>(value: unknown, name: Name): value is Record<Name, unknown> {
  return typeof value === 'object' && value !== null && name in value;
}

function readPath({ variable, attributes }: Path, reads: Reads): void {
  switch (variable) {
    case 'context':
      mark(reads.context, attributes);
      return;
    case 'principal':
      if (attributes.length === 0) reads.principalItself = true;
      mark(reads.principal, attributes);
      return;
    case 'resource':
      if (attributes.length === 0) reads.resourceItself = true;
      mark(reads.resource, attributes);
      return;
    case 'action':
      reads.action = true;
      return;
    default:
      throw new TypeError(`unknown Cedar variable "${variable}"`);
  }
}

function mark(node: ReadNode, attributes: readonly string[]): void {
  let at = node;
  for (const name of attributes) {
    let child = at.children.get(name);
    if (child === undefined) {
      child = nothing();
      at.children.set(name, child);
    }
    at = child;
  }
  at.whole = true;
}
