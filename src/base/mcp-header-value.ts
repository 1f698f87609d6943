const PREFIX = '=?base64?';
const SUFFIX = '?=';
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * The text that an `Mcp-Name` or `Mcp-Param-*` header stands for: as it is, or in `=?base64?…?=` (2026-07-28,
 * streamable HTTP § Value Encoding). Undefined for base64 that is not canonical or not UTF-8.
 */
export function decodeHeaderValue(value: string): string | undefined {
  if (!value.startsWith(PREFIX) || !value.endsWith(SUFFIX) || value.length < PREFIX.length + SUFFIX.length)
    return value;
  const encoded = value.slice(PREFIX.length, -SUFFIX.length);
  const bytes = Buffer.from(encoded, 'base64');
  if (bytes.toString('base64') !== encoded) return undefined; // spare bits, white space, other alphabets
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}

/** The other way round: as it is where a header can carry it, else in base64. */
export function encodeHeaderValue(text: string): string {
  const isPlain = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(text) && !text.startsWith(PREFIX);
  return isPlain ? text : `${PREFIX}${Buffer.from(text).toString('base64')}${SUFFIX}`;
}

/** Where the body holds what `Mcp-Name` repeats (2026-07-28 § Standard Request Headers; tasks extension). */
export const MCP_NAME_SOURCES: ReadonlyMap<string, string> = new Map([
  ['tools/call', 'name'],
  ['prompts/get', 'name'],
  ['resources/read', 'uri'],
  ['tasks/get', 'taskId'],
  ['tasks/update', 'taskId'],
  ['tasks/cancel', 'taskId'],
]);
