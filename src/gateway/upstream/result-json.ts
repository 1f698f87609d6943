import {
  isJsonObject,
  type JsonDefect,
  type JsonValue,
  ok,
  parseStrictJson,
  type Result,
} from '../../base/index.ts';

/** Deep enough for real results, shallow enough for recursive readers. */
const MAX_DEPTH = 256;

/** ECMAScript 2026 `JSON.parse` source text access, which Node.js 24 has and the es2024 types lack. */
type SourceTextJson = {
  parse(
    text: string,
    revive: (key: string, value: unknown, context: { source?: string }) => unknown,
  ): JsonValue;
  rawJSON(text: string): JsonValue;
};
const sourceTextJson = JSON as unknown as SourceTextJson;

/**
 * Parses what an upstream sent so that it can be relayed without loss: numbers that a double cannot hold become
 * `JSON.rawJSON` values and serialise as they came, lone surrogates stay. Two readings of one text are refused:
 * duplicate keys, `__proto__`, and nesting beyond 256.
 *
 * Text that serialises to itself has none of these, so the common case costs no scan of its own.
 */
export function parseResultJson(text: string): Result<JsonValue, JsonDefect> {
  const value = tryParse(text);
  if (value !== undefined && isPlain(value, text)) return ok(value);
  const scanned = parseStrictJson(text, { lossy: true, maxDepth: MAX_DEPTH });
  return scanned.ok ? ok(reviveNumbers(text)) : scanned;
}

function tryParse(text: string): JsonValue | undefined {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    return undefined;
  }
}

function isPlain(value: JsonValue, text: string): boolean {
  return isWithinDepth(value, MAX_DEPTH) && JSON.stringify(value) === text && !text.includes('__proto__');
}

function isWithinDepth(value: JsonValue, left: number): boolean {
  if (typeof value !== 'object' || value === null) return true;
  if (left === 0) return false;
  const children: readonly JsonValue[] = isJsonObject(value) ? Object.values(value) : value;
  return children.every((child) => isWithinDepth(child, left - 1));
}

function reviveNumbers(text: string): JsonValue {
  return sourceTextJson.parse(text, (_key, value, { source }) =>
    typeof value === 'number' && source !== undefined && isLossy(value, source)
      ? sourceTextJson.rawJSON(source)
      : value,
  );
}

/** Fifteen significant digits always survive a double. */
function isLossy(value: number, source: string): boolean {
  if (!Number.isFinite(value) || (Number.isInteger(value) && !Number.isSafeInteger(value))) return true;
  return (
    source.length > 15 &&
    source.replace(/[eE].*$/, '').replace(/\D/g, '').length > 15 &&
    String(value) !== source
  );
}
