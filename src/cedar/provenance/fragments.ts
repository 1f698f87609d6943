import { decodedForms } from './decoded-forms.ts';
import { LOOKUP, type Pace, type Turns } from './pace.ts';
import { eachWord, type WordTraits, wordAt } from './words.ts';

/** What a text can lead somebody to. */
export type FragmentKind = 'mail' | 'link' | 'account';
export type Fragment = { readonly kind: FragmentKind; readonly text: string };

export const MAX_TEXT = 256 * 1024;
const MAX_FRAGMENTS = 2_000;

/** Mail addresses, links and account numbers of a text, in the spelling they have there. */
export function fragmentsOf(text: string): Fragment[] {
  const found: Fragment[] = [];
  const looked = text.length > MAX_TEXT ? text.slice(0, MAX_TEXT) : text;
  const accounts = createAccountWatch();
  eachWord(looked, (start, end, traits) => {
    if (found.length < MAX_FRAGMENTS && traits.hasDot)
      collectPlaces(found, wordAt(looked, start, end), traits);
    accounts.see(start, end, traits);
  });
  if (accounts.isLikely()) collectAccounts(found, looked);
  return found;
}

/** Fragments, and whether all of the text was looked at. */
export type Fragments = { readonly found: readonly Fragment[]; readonly isWhole: boolean };

/** Also those that are written in an encoding: percent-encoded, escaped, or a base64 or hex word. */
export function* fragmentsAlsoDecoded(
  text: string,
  isDue: Pace,
  budget: DecodingBudget = newDecodingBudget(),
): Turns<Fragments> {
  const found = fragmentsOf(text);
  if (isDue(text.length)) yield;
  const words = encodedWords(text);
  let isWhole = text.length <= MAX_TEXT && found.length < MAX_FRAGMENTS && words.length <= MAX_WORDS;
  for (const word of words.slice(0, MAX_WORDS)) {
    if (budget.left <= 0) {
      isWhole = false;
      break;
    }
    let looked = LOOKUP + word.length;
    for (const form of decodedForms(word)) {
      budget.left -= form.length;
      looked += 4 * form.length;
      found.push(...fragmentsOf(form));
    }
    if (isDue(looked)) yield;
  }
  return { found, isWhole };
}

const ENCODED = /%[0-9a-f]{2}|\\u[0-9a-f]{4}|^[A-Za-z0-9+/_-]{12,}={0,2}$/i;
const MAX_WORDS = 2_000;
/** Characters of decoded text that are looked at. */
const MAX_DECODED = 64 * 1024;

/** What may still be decoded of the texts of one call. */
export type DecodingBudget = { left: number };
export const newDecodingBudget = (): DecodingBudget => ({ left: MAX_DECODED });

function encodedWords(text: string): string[] {
  if (!mayBeEncoded(text)) return [];
  const words = text.slice(0, MAX_TEXT).split(/[\s"'<>()]+/);
  return words.filter((word) => word.length >= 6 && ENCODED.test(word));
}

const LEAST_BASE64 = 12;
const BASE64 = Uint8Array.from({ length: 128 }, (_, code) =>
  /[A-Za-z0-9+/_-]/.test(String.fromCharCode(code)) ? 1 : 0,
);

/** Has the text an escape, or so many characters of base64 in a row? */
function mayBeEncoded(text: string): boolean {
  if (text.includes('%') || text.includes('\\')) return true;
  let run = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    run = code < 128 && BASE64[code] === 1 ? run + 1 : 0;
    if (run === LEAST_BASE64) return true;
  }
  return false;
}

const LINK = /\bwww\.\S+/giu;
const TLDS = 'com|org|net|io|co|ai|dev|app|info|biz|edu|gov|me|xyz|site|online|shop|cloud|eu|uk|de|ch|ru|cn';
const DOMAIN = new RegExp(
  `(?<![\\p{L}\\p{N}@./_-])(?:[\\p{L}\\p{N}-]{1,63}\\.){1,8}(?:(?:${TLDS})(?![\\p{L}\\p{N}-])(?:/\\S*)?|\\p{L}{2,24}/\\S*)`,
  'giu',
);
/** RFC 5321 §4.5.3.1: a local part has at most 64 octets, a domain 255. */
const LOCAL_PART = /[^\s:|=@]{1,64}$/u;
const MAIL_DOMAIN = /^[\p{L}\p{N}-]{1,63}(?:\.[\p{L}\p{N}-]{1,63}){1,8}/u;
const MAX_PLACE = 4_096;

/** Mail addresses and links in a word that has a dot. A link with a scheme is one to its end. */
export function collectPlaces(found: Fragment[], whole: string, { hasAt, hasMark }: WordTraits): void {
  const word = whole.length > MAX_PLACE ? whole.slice(0, MAX_PLACE) : whole;
  const before = found.length;
  for (let at = hasAt ? word.indexOf('@') : -1; at !== -1; at = word.indexOf('@', at + 1)) {
    const local = LOCAL_PART.exec(word.slice(Math.max(0, at - 64), at))?.[0];
    const domain = local && MAIL_DOMAIN.exec(word.slice(at + 1, at + 256))?.[0];
    if (local && domain) found.push({ kind: 'mail', text: `${local}@${domain}` });
  }
  if (!hasMark && found.length > before) return;
  const scheme = hasMark ? word.search(SCHEME) : -1;
  if (scheme !== -1) found.push({ kind: 'link', text: word.slice(scheme) });
  else if (WWW.test(word)) collect(found, 'link', word, LINK);
  if (scheme !== 0 && DOTTED.test(word)) collect(found, 'link', word, DOMAIN);
}

const SCHEME = /https?:\/\//i;
const WWW = /\bwww\./i;
const DOTTED = /\.\p{L}{2}/u;

/** Groups are told apart by their separators alone, so that there is one way to read a text. */
const IBAN = /\b[A-Z]{2}\d{2}[A-Z0-9]{0,36}(?:[ -][A-Z0-9]{2,36}){0,9}\b/gi;
const MAX_IBAN = 40;
const DIGITS = /(?<![\w.:/-])\d(?:[ -]?\d){8,33}(?![\w:/-])/g;

export function collectAccounts(found: Fragment[], text: string): void {
  collect(found, 'account', text, IBAN, shortened);
  collect(found, 'account', text, DIGITS);
}

/** Without the words behind it that make it longer than any account number. */
function shortened(text: string): string {
  let kept = text;
  while (kept.length > MAX_IBAN) {
    const last = Math.max(kept.lastIndexOf(' '), kept.lastIndexOf('-'));
    if (last === -1) return '';
    kept = kept.slice(0, last);
  }
  return kept;
}

/** Tells from the words of a text whether an account number may be in it, whole or in groups. */
export type AccountWatch = {
  see(start: number, end: number, traits: WordTraits): void;
  isLikely(): boolean;
};

export function createAccountWatch(): AccountWatch {
  let lastEnd = -2;
  let likely = false;
  return {
    see(start, end, { digits }) {
      if (digits === 0) return;
      likely ||= digits >= 9 || start === lastEnd + 1;
      lastEnd = end;
    },
    isLikely: () => likely,
  };
}

function collect(
  found: Fragment[],
  kind: FragmentKind,
  text: string,
  pattern: RegExp,
  cut: (match: string) => string = (match) => match,
): void {
  for (const [match] of text.matchAll(pattern)) {
    if (found.length >= MAX_FRAGMENTS) return;
    const trimmed = cut(match).replace(/[.!?*_~,;:]{1,8}$/, '');
    if (trimmed !== '' && (kind !== 'account' || isAccount(trimmed))) found.push({ kind, text: trimmed });
  }
}

/** Letters alone, or a date with a time, are no account. */
function isAccount(text: string): boolean {
  return text.replace(/\D/g, '').length >= 9 && !/^\d{4}-\d\d-\d\d/.test(text);
}

/** The kind of address that a whole value is, if it is one. */
export function addressKind(value: string): FragmentKind | 'name' {
  const trimmed = value.trim();
  return fragmentsOf(trimmed).find((fragment) => fragment.text.length === trimmed.length)?.kind ?? 'name';
}
