import { digestJson, isJsonObject, type JsonObject, type JsonValue } from '../../base/index.ts';
import type { JsonRpcMessage } from '../upstream/index.ts';

/** What of a reviewed tool the filter needs; a `PinnedTool` fits. */
export type Pin = { readonly digest: string; readonly definition: JsonObject };

/** Lists differ from run to run and change with policy, so clients should not hold them for long. */
const MAX_TTL_MS = 10_000;

const texts = new WeakMap<JsonObject, string>();

/**
 * Cuts a `tools/list` result down to tools that the run may see and that are still as they were reviewed, and
 * serves the reviewed text. A result of another shape becomes an empty list. Errors pass. Only cosmetic:
 * `tools/call` is decided on its own.
 */
export function filterToolsList(
  message: JsonRpcMessage,
  pinned: ReadonlyMap<string, Pin>,
  visible: ReadonlySet<string>,
): JsonRpcMessage {
  return filterPinned(message, 'tools', pinned, visible);
}

/** The same for any list of things that are pinned by their names. */
export function filterPinned(
  message: JsonRpcMessage,
  field: 'tools' | 'prompts',
  pinned: ReadonlyMap<string, Pin>,
  visible: ReadonlySet<string>,
): JsonRpcMessage {
  const { result } = message;
  if (result === undefined && message['error'] !== undefined) return message;
  if (!isJsonObject(result)) return { ...message, result: { [field]: [] } };
  const rest = withoutLookAlikes(keepPrivate(result), field);
  const listed = result[field];
  if (!Array.isArray(listed)) return { ...message, result: { ...rest, [field]: [] } };
  const kept: JsonValue[] = [];
  for (const entry of listed) {
    const definition = reviewedForm(entry, pinned, visible);
    if (definition !== undefined) kept.push(definition);
  }
  return { ...message, result: { ...rest, [field]: kept } };
}

/**
 * Marks a cacheable result (2026-07-28) as this caller's alone and short-lived. Results of the legacy era carry
 * no such fields and stay as they are.
 */
export function keepPrivate(result: JsonObject): JsonObject {
  const { cacheScope, ttlMs } = result;
  if (cacheScope === undefined && ttlMs === undefined) return result;
  const shorter = typeof ttlMs === 'number' ? Math.min(ttlMs, MAX_TTL_MS) : 0;
  return { ...result, cacheScope: 'private', ttlMs: shorter };
}

/** A client that ignores case must not find a second, unfiltered list under `Tools` beside `tools`. */
export function withoutLookAlikes(result: JsonObject, field: string): JsonObject {
  const isLookAlike = (key: string): boolean => key !== field && key.toUpperCase() === field.toUpperCase();
  if (!Object.keys(result).some(isLookAlike)) return result;
  return Object.fromEntries(Object.entries(result).filter(([key]) => !isLookAlike(key)));
}

function reviewedForm(
  tool: JsonValue,
  pinned: ReadonlyMap<string, Pin>,
  visible: ReadonlySet<string>,
): JsonObject | undefined {
  const name = isJsonObject(tool) ? tool['name'] : undefined;
  if (typeof name !== 'string' || !visible.has(name)) return undefined;
  const pin = pinned.get(name);
  if (pin === undefined) return undefined;
  // Servers repeat themselves to the letter, so the canonical form is rarely needed.
  const isSame = JSON.stringify(tool) === textOf(pin.definition) || digestJson(tool) === pin.digest;
  return isSame ? pin.definition : undefined;
}

function textOf(definition: JsonObject): string {
  let text = texts.get(definition);
  if (text === undefined) {
    text = JSON.stringify(definition);
    texts.set(definition, text);
  }
  return text;
}
