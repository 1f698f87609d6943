import { canonicalJson, isJsonObject, type JsonValue } from '../../base/index.ts';

/** One place where something was taken out. */
export type Redaction = {
  readonly rule: string;
  /** Number of the text among all texts of the value, keys and values in canonical order, from 0. */
  readonly text: number;
  /** Place in that text, in UTF-16 code units. */
  readonly at: number;
  readonly length: number;
};

/** A value without its secrets, in RFC 8785 form, and what was taken out. */
export type Redacted = { readonly text: string; readonly redactions: readonly Redaction[] };

/** Credentials by their shape. A named group `secret` is what goes; else the whole match. */
const RULES: readonly (readonly [rule: string, pattern: RegExp])[] = [
  [
    'private-key',
    /-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]{0,32}PRIVATE KEY-----|$)/g,
  ],
  ['jwt', /\beyJ[\w-]{5,}\.eyJ[\w-]{5,}\.[\w-]{5,}/g],
  ['aws-access-key', /\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/g],
  ['github-token', /\b(?:gh[pousr]_[0-9A-Za-z]{36,}|github_pat_\w{50,})/g],
  ['gitlab-token', /\bglpat-[\w-]{20,}/g],
  ['slack-token', /\bxox[abeoprs]-[0-9A-Za-z-]{10,}/g],
  ['google-api-key', /\bAIza[\w-]{35}/g],
  ['stripe-key', /\b[rs]k_(?:live|test)_[0-9A-Za-z]{16,}/g],
  ['model-api-key', /\bsk-(?:ant-|proj-)?[\w-]{20,}/g],
  ['npm-token', /\bnpm_[0-9A-Za-z]{36}/g],
  ['authorization', /\b(?:Bearer|Basic|DPoP)\s+(?<secret>[\w.~+/=-]{16,})/gi],
  ['url-password', /\b[a-z][a-z0-9+.-]{1,20}:\/\/[^\s/:@]{1,128}:(?<secret>[^\s/@]{1,256})@/gi],
  [
    'assignment',
    /(?<![A-Za-z])(?:password|passwd|pwd|secret|token|api[_-]?key|access[_-]?key|client[_-]?secret)["']?\s*[=:]\s*["']?(?<secret>[^\s"',;&]{4,256})/gi,
  ],
];

/** Keys whose value is a secret whatever it looks like. */
const SECRET_KEY =
  /^(?:.*[_-])?(?:password|passwd|pwd|secret|api[_-]?key|access[_-]?key|access[_-]?token|refresh[_-]?token|client[_-]?secret|private[_-]?key|authorization)$/i;

const MAX_DEPTH = 256;

/** Takes credentials out of every text of a value; what stays is valid JSON. Finds shapes, not meanings. */
export function redactSecrets(value: JsonValue): Redacted {
  const redactions: Redaction[] = [];
  let texts = 0;
  const cut = (text: string, isSecret = false): string => {
    const found = isSecret && text !== '' ? [whole(text)] : findSecrets(text);
    const number = texts++;
    for (const { rule, at, length } of found) redactions.push({ rule, text: number, at, length });
    return replaceAll(text, found);
  };
  const walk = (part: JsonValue, isSecret: boolean, depth: number): JsonValue => {
    if (typeof part === 'string') return cut(part, isSecret);
    if (typeof part !== 'object' || part === null) return part;
    if (depth > MAX_DEPTH) return cut(canonicalJson(part), true);
    if (Array.isArray(part)) return part.map((item: JsonValue) => walk(item, isSecret, depth + 1));
    if (!isJsonObject(part)) return part;
    const entries = Object.keys(part).sort();
    return Object.fromEntries(
      entries.map((key) => [cut(key), walk(part[key] ?? null, SECRET_KEY.test(key), depth + 1)]),
    );
  };
  return { text: canonicalJson(walk(value, false, 0)), redactions };
}

type Found = { readonly rule: string; readonly at: number; readonly length: number };

function whole(text: string): Found {
  return { rule: 'secret-field', at: 0, length: text.length };
}

/** In order and without overlap: what begins first wins. */
function findSecrets(text: string): Found[] {
  if (text.length < 8) return [];
  const all: Found[] = [];
  for (const [rule, pattern] of RULES) {
    for (const match of text.matchAll(pattern)) {
      const secret = match.groups?.['secret'] ?? match[0];
      all.push({ rule, at: match.index + match[0].lastIndexOf(secret), length: secret.length });
    }
  }
  all.sort((one, other) => one.at - other.at || other.length - one.length);
  let end = 0;
  return all.filter(({ at, length }) => {
    if (at < end) return false;
    end = at + length;
    return true;
  });
}

function replaceAll(text: string, found: readonly Found[]): string {
  let out = '';
  let from = 0;
  for (const { rule, at, length } of found) {
    out += `${text.slice(from, at)}[redacted: ${rule}]`;
    from = at + length;
  }
  return out + text.slice(from);
}
