import type { JsonValue } from './json.ts';

/**
 * The canonical form of a JSON value (JCS, RFC 8785): sorted keys, no white space, ECMAScript numbers.
 * Takes what `parseStrictJson` returned, so lone surrogates and unsafe numbers cannot occur. In relayed results
 * they can: a surrogate is escaped, a `JSON.rawJSON` number counts as the double nearest to it.
 */
export function canonicalJson(value: JsonValue): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (isRawNumber(value)) {
    const number = Number(value.rawJSON);
    return Number.isFinite(number) ? JSON.stringify(number) : value.rawJSON;
  }
  if (isArray(value)) {
    let out = '[';
    for (let i = 0; i < value.length; i++) out += (i === 0 ? '' : ',') + canonicalJson(value[i] as JsonValue);
    return `${out}]`;
  }
  const keys = Object.keys(value).sort(); // UTF-16 code unit order, as RFC 8785 §3.2.3 wants
  let out = '{';
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i] as string;
    out += `${(i === 0 ? '' : ',') + JSON.stringify(key)}:${canonicalJson(value[key] as JsonValue)}`;
  }
  return `${out}}`;
}

/** ECMAScript 2026, which Node.js 24 has and the es2024 types lack. */
const { isRawJSON: isRawNumber } = JSON as unknown as {
  isRawJSON: (value: unknown) => value is { readonly rawJSON: string };
};

const isArray: (value: unknown) => value is readonly JsonValue[] = Array.isArray;
