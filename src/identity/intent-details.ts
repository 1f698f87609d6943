import {
  err,
  isJsonObject,
  type JsonObject,
  type JsonValue,
  ok,
  parseStrictJson,
  type Result,
  sha256,
} from '../base/index.ts';
import {
  DECLARATION_MEMBERS,
  type Declaration,
  declarationJson,
  declaresSameParts,
  parseDeclaration,
} from './declaration.ts';
import { parseToolPattern, type WantedEnvelope } from './envelope.ts';
import type { DeclaredIntent, Run, ToolPattern } from './run.ts';

/** The `authorization_details` type (RFC 9396 §2) in which a run declares what it is for. */
export const INTENT_TYPE = 'sallyport_intent';

/** What a token request declares. `expiresIn` is seconds from the start of the run. */
export type WantedIntent = Pick<DeclaredIntent, 'purpose' | 'taskDigest'> &
  Declaration &
  Omit<WantedEnvelope, 'expiresAt'> & {
    readonly expiresIn?: number;
    /** The task in words: used in memory, and never in a token, a log or a store. */
    readonly task?: string;
  };

/** A declared intent in which every limit is stated. */
export type GrantedIntent = Omit<WantedIntent, 'task' | 'strict'> &
  Pick<DeclaredIntent, 'strict'> &
  Required<Pick<WantedIntent, 'tools' | 'maxCalls' | 'maxDepth' | 'expiresIn'>>;

const MEMBERS: ReadonlySet<string> = new Set([
  'type',
  'purpose',
  'task',
  'task_digest',
  'tools',
  'max_calls',
  'max_depth',
  'expires_in',
  ...DECLARATION_MEMBERS,
]);
/** Longest text of a task, in characters. */
const MAX_TASK_LENGTH = 8_192;
const PURPOSE = /^[a-z][a-z0-9-]{0,63}$/;
const SHA256 = /^[A-Za-z0-9_-]{43}$/;
const MAX_TOOLS = 256;

/**
 * Reads a declared intent from `authorization_details`: an array with exactly one entry. A member that is not
 * known is a refusal: it could be a limit that the caller relies on. The error is a description for the caller.
 */
export function parseIntentDetails(text: string): Result<WantedIntent, string> {
  const parsed = parseStrictJson(text);
  if (!parsed.ok || !Array.isArray(parsed.value) || parsed.value.length !== 1) {
    return err(`authorization_details must be a JSON array with one object of type ${INTENT_TYPE}`);
  }
  return parseIntentDetail(parsed.value[0]);
}

/** Reads one entry of `authorization_details`. */
export function parseIntentDetail(detail: JsonValue): Result<WantedIntent, string> {
  if (!isJsonObject(detail) || detail['type'] !== INTENT_TYPE) {
    return err(`authorization_details[0].type must be "${INTENT_TYPE}"`);
  }
  const unknown = Object.keys(detail).find((member) => !MEMBERS.has(member));
  if (unknown !== undefined)
    return err(`authorization_details[0]: a member is not known; known are ${[...MEMBERS].join(', ')}`);
  const { purpose, max_calls: maxCalls, max_depth: maxDepth, expires_in: expiresIn } = detail;
  if (typeof purpose !== 'string' || !PURPOSE.test(purpose)) {
    return err('authorization_details[0].purpose must be one of the purposes the agent is registered for');
  }
  const task = parseTask(detail);
  if (!task.ok) return task;
  const tools = parseTools(detail['tools']);
  if (!tools.ok) return tools;
  const counts = parseCounts({ maxCalls, maxDepth, expiresIn });
  if (!counts.ok) return counts;
  const declaration = parseDeclaration(detail);
  if (!declaration.ok) return err(`authorization_details[0].${declaration.error}`);
  return ok({
    purpose,
    ...task.value,
    ...declaration.value,
    ...(tools.value === undefined ? {} : { tools: tools.value }),
    ...counts.value,
  });
}

/** A text and its digest must belong together: what is signed is the digest. */
function parseTask({
  task,
  task_digest: stated,
}: JsonObject): Result<Pick<WantedIntent, 'task' | 'taskDigest'>, string> {
  if (stated !== undefined && (typeof stated !== 'string' || !SHA256.test(stated))) {
    return err('authorization_details[0].task_digest must be a SHA-256 in base64url');
  }
  if (task === undefined) return ok(stated === undefined ? {} : { taskDigest: stated });
  if (typeof task !== 'string' || task.length > MAX_TASK_LENGTH || !task.isWellFormed()) {
    return err(`authorization_details[0].task must be a text of at most ${MAX_TASK_LENGTH} characters`);
  }
  const taskDigest = sha256(task);
  if (stated !== undefined && stated !== taskDigest) {
    return err('authorization_details[0].task_digest must be the SHA-256 of task');
  }
  return ok({ task, taskDigest });
}

function parseTools(value: JsonValue | undefined): Result<readonly ToolPattern[] | undefined, string> {
  if (value === undefined) return ok(undefined);
  if (!Array.isArray(value) || value.length > MAX_TOOLS) {
    return err(`authorization_details[0].tools must be an array of at most ${MAX_TOOLS} patterns`);
  }
  const patterns = value
    .map((text: JsonValue) => parseToolPattern(text))
    .filter((pattern) => pattern !== undefined);
  return patterns.length === value.length
    ? ok(patterns)
    : err('authorization_details[0].tools: each must be "<upstream>/<tool>" or "<upstream>/*"');
}

type Counts = Pick<WantedIntent, 'maxCalls' | 'maxDepth' | 'expiresIn'>;

function parseCounts(
  values: { readonly [Name in keyof Counts]-?: JsonValue | undefined },
): Result<Counts, string> {
  const counts: { maxCalls?: number; maxDepth?: number; expiresIn?: number } = {};
  for (const [name, lowest] of [
    ['maxCalls', 0],
    ['maxDepth', 0],
    ['expiresIn', 1],
  ] as const) {
    const value = values[name];
    if (value === undefined) continue;
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < lowest) {
      return err(`authorization_details[0].${WIRE_NAME[name]} must be a whole number, ${lowest} or more`);
    }
    counts[name] = value;
  }
  return ok(counts);
}

const WIRE_NAME = { maxCalls: 'max_calls', maxDepth: 'max_depth', expiresIn: 'expires_in' } as const;

/** The limits of a declared intent, for a run that starts at `startsAt` (seconds since the epoch). */
export function wantedEnvelope(
  { tools, maxCalls, maxDepth, expiresIn }: WantedIntent,
  startsAt: number,
): WantedEnvelope {
  return {
    ...(tools === undefined ? {} : { tools }),
    ...(maxCalls === undefined ? {} : { maxCalls }),
    ...(maxDepth === undefined ? {} : { maxDepth }),
    ...(expiresIn === undefined ? {} : { expiresAt: startsAt + expiresIn }),
  };
}

/** The intent and envelope that a run was issued with, as its tokens carry them. */
export function intentDetails({ intent, envelope }: Pick<Run, 'intent' | 'envelope'>): JsonObject {
  return {
    type: INTENT_TYPE,
    purpose: intent.purpose,
    ...(intent.taskDigest === undefined ? {} : { task_digest: intent.taskDigest }),
    ...declarationJson(intent),
    tools: envelope.tools,
    max_calls: envelope.maxCalls,
    max_depth: envelope.maxDepth,
    expires_at: envelope.expiresAt,
  };
}

/** A granted intent, as a delegation grant and the answer to it carry it. `parseIntentDetail` reads it. */
export function grantedIntentDetails(intent: GrantedIntent): JsonObject {
  return {
    type: INTENT_TYPE,
    purpose: intent.purpose,
    ...(intent.taskDigest === undefined ? {} : { task_digest: intent.taskDigest }),
    ...declarationJson(intent),
    tools: intent.tools,
    max_calls: intent.maxCalls,
    max_depth: intent.maxDepth,
    expires_in: intent.expiresIn,
  };
}

/**
 * Does a request declare again what the run was issued with? Each part it states must be the same.
 * `latestEnd`: the end of the parent run, which cuts a child's life short without anyone's asking.
 */
export function declaresSame(run: Run, wanted: WantedIntent, latestEnd = Number.POSITIVE_INFINITY): boolean {
  const { intent, envelope, issuedAt } = run;
  const { purpose, taskDigest, tools, maxCalls, maxDepth, expiresIn } = wanted;
  return (
    purpose === intent.purpose &&
    (taskDigest === undefined || taskDigest === intent.taskDigest) &&
    declaresSameParts(intent, wanted) &&
    (tools === undefined || isSameSet(tools, envelope.tools)) &&
    (maxCalls === undefined || maxCalls === envelope.maxCalls) &&
    (maxDepth === undefined || maxDepth === envelope.maxDepth) &&
    (expiresIn === undefined || Math.min(issuedAt + expiresIn, latestEnd) === envelope.expiresAt)
  );
}

function isSameSet(some: readonly string[], others: readonly string[]): boolean {
  const set = new Set(some);
  return set.size === new Set(others).size && others.every((other) => set.has(other));
}
