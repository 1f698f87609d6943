/** Text from outside as it may be printed: control, bidi and invisible characters as escapes, long text cut. */
export function printable(text: string): string {
  return escapeInvisible(text.length > 300 ? `${text.slice(0, 300)}…` : text);
}

/** The same without cutting. */
export function escapeInvisible(line: string): string {
  return line.replace(UNPRINTABLE, (char) => `\\u{${char.codePointAt(0)?.toString(16)}}`);
}

const UNPRINTABLE = /[\p{C}\p{Default_Ignorable_Code_Point}\p{Zl}\p{Zp}]/gu;
