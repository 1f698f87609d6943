/** Replaces secrets in what a child says of itself. */
export type Redact = (text: string) => string;

const CENSOR = '[redacted]';

/** Shorter values are replaced only where they stand alone: `1` is no reason to censor every number. */
const MIN_ANYWHERE = 4;
/** A line that was cut may end within a secret; from this many characters on its beginning is one, too. */
const MIN_PREFIX = 4;
/** No line of fewer characters was cut. */
const MIN_CUT = 256;

/** Secrets by their shape, for those that nobody told us of. Every quantifier is bounded. */
const SHAPES: readonly (readonly [RegExp, string])[] = [
  [/\b(bearer|dpop|basic)\s+[\w.~+/=-]{8,4096}/giu, `$1 ${CENSOR}`],
  [/\beyJ[\w-]{8,4096}(?:\.[\w-]{0,4096}){1,4}/gu, CENSOR],
  [/\b(?:sk|pk|rk|ghp|gho|ghs|ghu|github_pat|glpat|xox[abprs]|npm|hf)[-_][\w-]{10,512}/gu, CENSOR],
  [/\b(?:AKIA|ASIA)[A-Z0-9]{12,32}\b/gu, CENSOR],
  [/\b([a-z][a-z0-9+.-]{1,20}:\/\/)[^\s/@]{1,512}@/giu, `$1${CENSOR}@`],
  [
    /((?:api[_-]?key|access[_-]?key|secret|token|passw(?:or)?d|passphrase|authorization|credential|cookie)["']?\s{0,4}[:=]\s{0,4}["']?)[^\s"',;]{1,4096}/giu,
    `$1${CENSOR}`,
  ],
  [/-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.{0,8192}/gu, CENSOR],
];

/**
 * Replaces the given values, also in base64, hex, percent and JSON escapes, line by line where they have several,
 * and the beginning of one at the end of a line that was cut. Then what looks like a credential of any kind. Other
 * ways to disguise a secret are beyond it: a child that wants to tell finds one.
 */
export function createRedact(secrets: Iterable<string>): Redact {
  const forms = new Set<string>();
  for (const secret of secrets) {
    for (const part of [secret, ...secret.split(/\r?\n/)]) for (const form of formsOf(part)) forms.add(form);
  }
  const longestFirst = [...forms].sort((a, b) => b.length - a.length);
  const anywhere = longestFirst.filter((form) => form.length >= MIN_ANYWHERE);
  const alone = longestFirst
    .filter((form) => form.length < MIN_ANYWHERE)
    .map((form) => new RegExp(`(?<![\\p{L}\\p{N}])${literally(form)}(?![\\p{L}\\p{N}])`, 'gu'));
  return (text) => {
    let clean = text;
    for (const form of anywhere) clean = clean.replaceAll(form, CENSOR);
    if (text.length >= MIN_CUT) for (const form of anywhere) clean = withoutPrefix(clean, form);
    for (const form of alone) clean = clean.replace(form, CENSOR);
    for (const [shape, instead] of SHAPES) clean = clean.replace(shape, instead);
    return clean;
  };
}

function formsOf(secret: string): readonly string[] {
  const trimmed = secret.trim();
  if (trimmed === '') return [];
  if (trimmed.length < MIN_ANYWHERE) return [trimmed];
  const bytes = Buffer.from(trimmed);
  const base64 = bytes.toString('base64').replace(/=+$/, '');
  const hex = bytes.toString('hex');
  return [
    trimmed,
    encodeURIComponent(trimmed.toWellFormed()),
    JSON.stringify(trimmed).slice(1, -1),
    base64,
    base64.replaceAll('+', '-').replaceAll('/', '_'),
    hex,
    hex.toUpperCase(),
  ];
}

/** As a regular expression that matches nothing but this text. */
function literally(text: string): string {
  return [...text].map((char) => `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`).join('');
}

function withoutPrefix(cut: string, form: string): string {
  const text = cut.replace(/\ufffd+$/, ''); // half a character
  for (let length = Math.min(form.length - 1, text.length); length >= MIN_PREFIX; length--) {
    if (text.endsWith(form.slice(0, length))) return text.slice(0, -length) + CENSOR;
  }
  return text;
}
