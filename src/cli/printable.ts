/** Text from outside as it may be printed: control, bidi and invisible characters as escapes, long text cut. */
export function printable(text: string): string {
  return escapeInvisible(text.length > 300 ? `${text.slice(0, 300)}…` : text);
}

/** The same without cutting. */
export function escapeInvisible(line: string): string {
  return line.replace(UNPRINTABLE, (char) => `\\u{${char.codePointAt(0)?.toString(16)}}`);
}

const UNPRINTABLE = /[\p{C}\p{Default_Ignorable_Code_Point}\p{Zl}\p{Zp}]/gu;

/** A value as JSON of printable ASCII alone: what a terminal shows is what is there. */
export function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(/[\u007f-\uffff]/g, (unit) => {
    return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}
