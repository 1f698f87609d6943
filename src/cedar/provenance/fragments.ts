import { decodedForms } from './decoded-forms.ts';

/** What a text can lead somebody to. */
export type FragmentKind = 'mail' | 'link' | 'account';
export type Fragment = { readonly kind: FragmentKind; readonly text: string };

const MAX_TEXT = 256 * 1024;
const MAX_FRAGMENTS = 2_000;

// Each pattern starts only where a word does, or is bounded: text of a third party must not cost more than its length.
const LINK = /(?:\bhttps?:\/\/|\bwww\.)[^\s<>"'`)\]}]+/giu;
const TLDS = 'com|org|net|io|co|ai|dev|app|info|biz|edu|gov|me|xyz|site|online|shop|cloud|eu|uk|de|ch|ru|cn';
const PATH = '/[^\\s<>"\'`)\\]}]*';
const DOMAIN = new RegExp(
  `(?<![\\p{L}\\p{N}@./_-])(?:[\\p{L}\\p{N}-]+\\.)+(?:(?:${TLDS})(?![\\p{L}\\p{N}-])(?:${PATH})?|\\p{L}{2,24}${PATH})`,
  'giu',
);
const IBAN = /\b[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]{2,4}){3,9}\b/gi;
const DIGITS = /(?<![\w.:/-])\d(?:[ -]?\d){8,33}(?![\w:/-])/g;

/** Mail addresses, links and account numbers of a text, in the spelling they have there. */
export function fragmentsOf(text: string): Fragment[] {
  const found: Fragment[] = [];
  const looked = text.length > MAX_TEXT ? text.slice(0, MAX_TEXT) : text;
  collectMails(found, looked);
  if (looked.includes('.')) {
    if (/www\.|:\/\//i.test(looked)) collect(found, 'link', looked, LINK);
    collect(found, 'link', looked, DOMAIN);
  }
  if (/\d{2}/.test(looked)) {
    collect(found, 'account', looked, IBAN);
    collect(found, 'account', looked, DIGITS);
  }
  return found;
}

/** Also those that are written in an encoding: percent-encoded, escaped, or a base64 or hex word. */
export function fragmentsAlsoDecoded(text: string): Fragment[] {
  const found = fragmentsOf(text);
  for (const word of encodedWords(text)) {
    for (const form of decodedForms(word)) found.push(...fragmentsOf(form));
  }
  return found;
}

const ENCODED = /%[0-9a-f]{2}|\\u[0-9a-f]{4}|^[A-Za-z0-9+/_-]{12,}={0,2}$/i;
const MAX_WORDS = 64;

function encodedWords(text: string): string[] {
  if (!/%[0-9a-f]{2}|\\u|[A-Za-z0-9+/_-]{12}/i.test(text)) return [];
  const words = text.slice(0, MAX_TEXT).split(/[\s"'<>()]+/);
  return words.filter((word) => word.length >= 6 && ENCODED.test(word)).slice(0, MAX_WORDS);
}

/** RFC 5321 §4.5.3.1: a local part has at most 64 octets, a domain 255. */
const LOCAL_PART = /[^\s<>()[\]{}"'`,;:|=@]{1,64}$/u;
const MAIL_DOMAIN = /^[\p{L}\p{N}-]{1,63}(?:\.[\p{L}\p{N}-]{1,63}){1,8}/u;

function collectMails(found: Fragment[], text: string): void {
  for (let at = text.indexOf('@'); at !== -1; at = text.indexOf('@', at + 1)) {
    if (found.length >= MAX_FRAGMENTS) return;
    const local = LOCAL_PART.exec(text.slice(Math.max(0, at - 64), at))?.[0];
    const domain = local && MAIL_DOMAIN.exec(text.slice(at + 1, at + 256))?.[0];
    if (local && domain) found.push({ kind: 'mail', text: `${local}@${domain}` });
  }
}

function collect(found: Fragment[], kind: FragmentKind, text: string, pattern: RegExp): void {
  for (const [match] of text.matchAll(pattern)) {
    if (found.length >= MAX_FRAGMENTS) return;
    const trimmed = match.replace(/[.!?*_~,;:]{1,8}$/, '');
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
