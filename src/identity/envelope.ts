import { err, ok, parseUpstreamName, type Result } from '../base/index.ts';
import type { Envelope, ToolPattern } from './run.ts';

/** What a run asks for; a part that is absent means as much as the ceiling allows. */
export type WantedEnvelope = {
  readonly tools?: readonly ToolPattern[];
  readonly maxCalls?: number;
  readonly maxDepth?: number;
  /** Seconds since the epoch. */
  readonly expiresAt?: number;
};

/** The part that goes beyond the ceiling. `tool` is the first pattern that nothing in the ceiling covers. */
export type EnvelopeRefusal =
  | { readonly part: 'tools'; readonly tool: ToolPattern }
  | { readonly part: 'max_calls' | 'max_depth' | 'expires_in'; readonly ceiling: number };

const TOOL_PATTERN = /^([^/]+)\/(\*|[^*\s\p{Cc}]{1,256})$/u;

/** `"<upstream>/<tool>"` or `"<upstream>/*"`; a star anywhere else is no pattern. */
export function parseToolPattern(value: unknown): ToolPattern | undefined {
  if (typeof value !== 'string') return undefined;
  const upstream = TOOL_PATTERN.exec(value)?.[1];
  return parseUpstreamName(upstream) === undefined ? undefined : (value as ToolPattern);
}

/**
 * Cuts a ceiling down to what is wanted. Nothing is clamped: asking for more than the ceiling is a refusal, so
 * that a run never believes it has what it was not given.
 *
 * INVARIANT: the result is a subset of the ceiling in every part.
 */
export function narrow(ceiling: Envelope, wanted: WantedEnvelope): Result<Envelope, EnvelopeRefusal> {
  const { maxCalls = ceiling.maxCalls, maxDepth = ceiling.maxDepth, expiresAt = ceiling.expiresAt } = wanted;
  const tools = wanted.tools === undefined ? ceiling.tools : [...new Set(wanted.tools)];
  const tool = tools.find((pattern) => !isCovered(pattern, ceiling.tools));
  if (tool !== undefined) return err({ part: 'tools', tool });
  if (!isWithin(maxCalls, ceiling.maxCalls)) return err({ part: 'max_calls', ceiling: ceiling.maxCalls });
  if (!isWithin(maxDepth, ceiling.maxDepth)) return err({ part: 'max_depth', ceiling: ceiling.maxDepth });
  if (!isWithin(expiresAt, ceiling.expiresAt)) return err({ part: 'expires_in', ceiling: ceiling.expiresAt });
  return ok({ tools, maxCalls, maxDepth, expiresAt });
}

/** The most that a run may hand on: one level less below it. */
export function childCeiling(parent: Envelope): Result<Envelope, EnvelopeRefusal> {
  if (parent.maxDepth < 1) return err({ part: 'max_depth', ceiling: parent.maxDepth });
  return ok({ ...parent, maxDepth: parent.maxDepth - 1 });
}

/** A star is covered by a star only: a list of tools says nothing about a tool that is added tomorrow. */
function isCovered(pattern: ToolPattern, ceiling: readonly ToolPattern[]): boolean {
  const star = `${pattern.slice(0, pattern.indexOf('/'))}/*`;
  return ceiling.some((allowed) => allowed === pattern || allowed === star);
}

/** Also refuses what is not a number one can count with. */
function isWithin(value: number, ceiling: number): boolean {
  return Number.isSafeInteger(value) && value >= 0 && value <= ceiling;
}
