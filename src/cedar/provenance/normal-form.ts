/**
 * The form in which values are compared: NFKC, one space for any white space, lower case. Of URLs the scheme goes
 * and the case of the path stays; account numbers lose their grouping. Nothing else is thought away: characters
 * that only look alike stay apart, and so do values with invisible characters.
 */
export function normalForm(value: string): string {
  if (SIMPLE.test(value)) return value;
  const text = PLAIN.test(value) ? value : value.normalize('NFKC').replace(/\s+/gu, ' ').trim();
  const url = text.includes('.') || text.includes('://') ? URL_PARTS.exec(text) : null;
  if (url !== null) return (url[1] ?? url[2] ?? '').toLowerCase() + (url[3] ?? '').replace(/\/$/, '');
  const lower = text.toLowerCase();
  return FIRST_DIGITS.test(lower) && isGroupedAccount(lower) ? lower.replace(/[ -]/g, '') : lower;
}

/** Most words are their own normal form. */
const SIMPLE = /^[a-z][a-z0-9_]*$/;

/** Printable ASCII that needs neither NFKC nor white space repaired. */
const PLAIN = /^[!-~]+(?: [!-~]+)*$/;

/** Authority and the rest, of a URL with a scheme or of a domain name with a path. */
const URL_PARTS = /^(?:https?:\/\/([^\s/?#]+)|((?:[a-z0-9-]+\.)+[a-z]{2,24})(?=[/?#]))([^\s]*)$/i;

const FIRST_DIGITS = /^(?:[a-z]{2}\d\d|\d{2,}[ -])/;
const IBAN_GROUPED = /^[a-z]{2}\d\d(?:[ -]?[a-z0-9]){11,30}$/;
const DIGITS_GROUPED = /^\d{2,}(?:[ -]\d+)+$/;
const DATE = /^\d{4}-\d\d-\d\d/;

function isGroupedAccount(lower: string): boolean {
  if (DATE.test(lower)) return false;
  if (IBAN_GROUPED.test(lower)) return true;
  return DIGITS_GROUPED.test(lower) && lower.replace(/\D/g, '').length >= 8;
}

/** A value of which there are so few that it turns up in fields that have nothing to do with it. */
export const isCommon = (normal: string): boolean => normal.length < 6 || /^\d{1,7}$/.test(normal);
