/** Markup that is safe to put into a page. Made only by `html` and `join`. */
export type Html = { readonly markup: string };

const UNSEEN = /[\p{C}\p{Default_Ignorable_Code_Point}\p{Zl}\p{Zp}]/gu;

/** Text of anybody: markup is escaped, and what the eye would miss is spelled out; line ends and tabs stay. */
export function escapeText(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;')
    .replaceAll('`', '&#96;')
    .replace(UNSEEN, (char) =>
      char === '\n' || char === '\t' ? char : `\\u{${char.codePointAt(0)?.toString(16)}}`,
    );
}

/** Longest text that a page shows in one place. */
const LONGEST = 20_100;

/** A template whose values are cut and escaped unless they are markup themselves. */
export function html(strings: TemplateStringsArray, ...values: readonly (string | number | Html)[]): Html {
  let markup = strings[0] ?? '';
  values.forEach((value, i) => {
    markup += typeof value === 'object' ? value.markup : escapeText(cut(String(value)));
    markup += strings[i + 1] ?? '';
  });
  return { markup };
}

function cut(text: string): string {
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}

export function join(parts: readonly Html[]): Html {
  return { markup: parts.map(({ markup }) => markup).join('') };
}
