import type { JsonValue } from './json.ts';
import { err, ok, type Result } from './result.ts';

/** Why a text is not JSON that every parser reads the same way (I-JSON, RFC 7493, and a depth limit). */
export type JsonDefect =
  | { readonly reason: 'syntax' }
  | { readonly reason: 'too_deep'; readonly limit: number }
  | { readonly reason: 'duplicate_key'; readonly key: string }
  | { readonly reason: 'forbidden_key'; readonly key: string }
  | { readonly reason: 'unsafe_number'; readonly literal: string }
  | { readonly reason: 'lone_surrogate' };

/** What a reader of text that is only relayed may accept beyond the strict rules. */
export type JsonTolerance = {
  /** Numbers that a double cannot hold, and lone surrogates. */
  readonly lossy: boolean;
  readonly maxDepth: number;
};

const STRICT: JsonTolerance = { lossy: false, maxDepth: 64 };

/**
 * Parses JSON and refuses what two parsers could read differently: duplicate keys, `__proto__`, integers
 * beyond 2^53, numbers that overflow, lone surrogates, a byte order mark. What it returns is what is decided
 * on and what is sent.
 *
 * The native parser builds the value; a scan over the same text looks for what the native parser hides.
 */
export function parseStrictJson(text: string, tolerance = STRICT): Result<JsonValue, JsonDefect> {
  let value: JsonValue;
  try {
    value = JSON.parse(text) as JsonValue;
  } catch {
    return err({ reason: 'syntax' });
  }
  const defect = scan(text, tolerance);
  return defect === undefined ? ok(value) : err(defect);
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const MINUS = 0x2d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

/** Walks text that `JSON.parse` has accepted, so the grammar needs no second check. */
function scan(text: string, { lossy, maxDepth }: JsonTolerance): JsonDefect | undefined {
  const frames: (Set<string> | undefined)[] = []; // one per open object (its keys) or array (undefined)
  let keys: Set<string> | undefined;
  let expectsKey = false;
  for (let at = 0; at < text.length; ) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      const end = endOfString(text, at);
      const raw = text.slice(at, end);
      if (!lossy && !isWellFormedLiteral(raw)) return { reason: 'lone_surrogate' };
      if (expectsKey && keys !== undefined) {
        const key = raw.includes('\\') ? (JSON.parse(raw) as string) : raw.slice(1, -1);
        if (key === '__proto__') return { reason: 'forbidden_key', key };
        if (keys.has(key)) return { reason: 'duplicate_key', key };
        keys.add(key);
        expectsKey = false;
      }
      at = end;
    } else if (code === OPEN_BRACE || code === OPEN_BRACKET) {
      keys = code === OPEN_BRACE ? new Set() : undefined;
      expectsKey = code === OPEN_BRACE;
      frames.push(keys);
      if (frames.length > maxDepth) return { reason: 'too_deep', limit: maxDepth };
      at++;
    } else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) {
      frames.pop();
      keys = frames.at(-1);
      expectsKey = false;
      at++;
    } else if (code === COMMA) {
      expectsKey = keys !== undefined;
      at++;
    } else if (code === MINUS || (code >= 0x30 && code <= 0x39)) {
      const end = endOfNumber(text, at);
      const literal = text.slice(at, end);
      const number = Number(literal);
      if (
        !lossy &&
        (!Number.isFinite(number) || (Number.isInteger(number) && !Number.isSafeInteger(number)))
      ) {
        return { reason: 'unsafe_number', literal: literal.slice(0, 32) };
      }
      at = end;
    } else {
      at++;
    }
  }
  return undefined;
}

function endOfString(text: string, start: number): number {
  for (let at = start + 1; ; ) {
    const quote = text.indexOf('"', at);
    let backslashes = 0;
    while (text.charCodeAt(quote - 1 - backslashes) === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return quote + 1;
    at = quote + 1;
  }
}

function endOfNumber(text: string, start: number): number {
  let at = start + 1;
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at);
    const isNumberPart = (code >= 0x2b && code <= 0x39 && code !== COMMA) || (code | 0x20) === 0x65;
    if (!isNumberPart) break;
  }
  return at;
}

function isWellFormedLiteral(raw: string): boolean {
  if (!raw.includes('\\u')) return raw.isWellFormed();
  return (JSON.parse(raw) as string).isWellFormed();
}
