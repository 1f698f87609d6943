import { isJsonObject, type JsonObject, type JsonValue } from '../base/index.ts';
import type { Chain, DeclaredIntent } from '../identity/index.ts';
import type { ToolAnnotations } from './annotations.ts';
import type { RunFacts } from './run-facts.ts';

/** What an intent is held against. */
export type IntendedCall = {
  readonly annotations: ToolAnnotations;
  readonly args: JsonObject;
  readonly facts: RunFacts;
};

/** Why a call is outside of what some link of the chain declared, for the log; undefined when it is inside. */
export function outsideIntent(chain: Chain, call: IntendedCall): string | undefined {
  for (const { intent } of chain) {
    const detail =
      (isDeclared(intent, call.annotations) ? undefined : undeclared(call.annotations)) ??
      overAmount(intent, call.args) ??
      overCount(intent, call);
    if (detail !== undefined) return detail;
  }
  return undefined;
}

/** A strict intent lets through its capabilities, and reads that are in no group. */
export function isDeclared(
  { strict, inferred, capabilities = [] }: DeclaredIntent,
  { capability, effect }: ToolAnnotations,
): boolean {
  if (strict !== true) return true;
  if (capability === undefined) return effect === 'read';
  return inferred !== true && capabilities.includes(capability);
}

function undeclared({ capability }: ToolAnnotations): string {
  return `the intent is strict and did not declare ${capability ?? 'a tool without a capability'}`;
}

function overAmount({ limits }: DeclaredIntent, args: JsonObject): string | undefined {
  for (const [name, most] of Object.entries(limits?.amounts ?? {})) {
    if (!isWithin(args, name, most)) return `limits.amounts.${name} is ${most}`;
  }
  return undefined;
}

/** Every member of the name, however deep, is a number or the text of one, and not beyond the limit. */
function isWithin(value: JsonValue, name: string, most: number): boolean {
  if (Array.isArray(value)) return value.every((item: JsonValue) => isWithin(item, name, most));
  if (!isJsonObject(value)) return true;
  return Object.entries(value).every(([key, member]) =>
    key === name ? isAmountWithin(member, most) : isWithin(member, name, most),
  );
}

const NUMBER = /^-?\d{1,15}(?:\.\d{1,9})?$/;

function isAmountWithin(value: JsonValue, most: number): boolean {
  if (Array.isArray(value)) return value.every((item: JsonValue) => isAmountWithin(item, most));
  if (value === null) return true;
  const amount = typeof value === 'string' && NUMBER.test(value) ? Number(value) : value;
  return typeof amount === 'number' && Math.abs(amount) <= most;
}

/** Calls under way count, refused ones do not. Who cannot count them refuses. */
function overCount({ limits }: DeclaredIntent, { annotations, facts }: IntendedCall): string | undefined {
  const { capability } = annotations;
  const calls = limits?.calls ?? {};
  if (capability === undefined || !Object.hasOwn(calls, capability)) return undefined;
  const most = calls[capability] ?? 0;
  return callsOf(facts, capability) < most ? undefined : `limits.calls.${capability} is ${most}`;
}

/** Calls of a capability that the tree has made; more than any limit when nobody counted. */
export function callsOf({ capabilityCalls }: RunFacts, capability: string | undefined): number {
  if (capabilityCalls === undefined) return UNCOUNTED;
  const made = (name: string): number =>
    Object.hasOwn(capabilityCalls, name) ? (capabilityCalls[name] ?? 0) : 0;
  return made('*') + (capability === undefined ? 0 : made(capability));
}

/** Tool calls of the whole tree, of any capability; more than any limit when nobody counted. */
export function treeCallsOf({ capabilityCalls }: RunFacts): number {
  if (capabilityCalls === undefined) return UNCOUNTED;
  return Object.values(capabilityCalls).reduce((sum, calls) => sum + calls, 0);
}

const UNCOUNTED = 1_000_000_000_000;
