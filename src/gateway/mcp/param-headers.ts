import {
  decodeHeaderValue,
  encodeHeaderValue,
  isJsonObject,
  type JsonObject,
  type JsonValue,
} from '../../base/index.ts';

/** A tool parameter that clients repeat in `Mcp-Param-<header>`. */
type Declaration = { readonly path: readonly string[]; readonly header: string; readonly isNumeric: boolean };

const declarations = new WeakMap<JsonObject, readonly Declaration[]>();
const DECIMAL = /^-?\d+(?:\.\d+)?$/;

/**
 * Compares `Mcp-Param-*` headers with the arguments they repeat, as the tool's definition says with
 * `x-mcp-header` (2026-07-28, streamable HTTP § Custom Headers). Needed before stdio servers, which see no
 * headers, and right before any other: what is routed by header must be what is decided on. Returns what is
 * wrong, for a -32020 error; undefined when they agree.
 */
export function checkParamHeaders(
  definition: JsonObject,
  args: JsonObject,
  mcpHeaders: Readonly<Record<string, string>>,
): string | undefined {
  for (const { path, header, isNumeric } of declarationsOf(definition)) {
    const value = valueAt(args, path);
    const name = `mcp-param-${header.toLowerCase()}`;
    const text = mcpHeaders[name];
    if (!isPrimitive(value)) {
      if (text === undefined) continue;
      return `the ${name} header repeats arguments.${path.join('.')}, which has no such value`;
    }
    if (text === undefined) return `the ${name} header is missing for arguments.${path.join('.')}`;
    const decoded = decodeHeaderValue(text.trim());
    if (decoded === undefined) return `the ${name} header holds damaged base64`;
    const isEqual =
      isNumeric && typeof value === 'number' && DECIMAL.test(decoded)
        ? Number(decoded) === value
        : decoded === String(value);
    if (!isEqual) return `the ${name} header differs from arguments.${path.join('.')}`;
  }
  return undefined;
}

/** The `Mcp-Param-*` headers that a call of this tool must have, for clients whose era knows none. */
export function paramHeadersOf(definition: JsonObject, args: JsonObject): Readonly<Record<string, string>> {
  const headers: Record<string, string> = {};
  for (const { path, header } of declarationsOf(definition)) {
    const value = valueAt(args, path);
    if (isPrimitive(value)) headers[`mcp-param-${header.toLowerCase()}`] = encodeHeaderValue(String(value));
  }
  return headers;
}

function declarationsOf(definition: JsonObject): readonly Declaration[] {
  let found = declarations.get(definition);
  if (found === undefined) {
    found = [...declaredIn(definition['inputSchema'], [])];
    declarations.set(definition, found);
  }
  return found;
}

/** Only chains of `properties` count; an annotation anywhere else is invalid and declares nothing. */
function* declaredIn(schema: JsonValue | undefined, path: readonly string[]): Generator<Declaration> {
  const properties = isJsonObject(schema) ? schema['properties'] : undefined;
  if (!isJsonObject(properties)) return;
  for (const [key, property] of Object.entries(properties)) {
    if (!isJsonObject(property)) continue;
    const { type, 'x-mcp-header': header } = property;
    const here = [...path, key];
    if (typeof header === 'string')
      yield { path: here, header, isNumeric: type === 'integer' || type === 'number' };
    yield* declaredIn(property, here);
  }
}

function valueAt(args: JsonObject, path: readonly string[]): JsonValue | undefined {
  let value: JsonValue | undefined = args;
  for (const key of path) {
    if (!isJsonObject(value) || !Object.hasOwn(value, key)) return undefined;
    value = value[key];
  }
  return value;
}

function isPrimitive(value: JsonValue | undefined): value is string | number | boolean {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
}
