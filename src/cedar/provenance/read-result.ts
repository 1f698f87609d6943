import { isJsonObject, type JsonValue } from '../../base/index.ts';
import { readYamlLike } from './yaml-like.ts';

/** A part of a result: fields that have names, or text. */
export type ResultPart =
  | { readonly kind: 'fields'; readonly value: JsonValue }
  | { readonly kind: 'text'; readonly text: string };

const MAX_TEXT = 1024 * 1024;
/** Reading more of it would hold up others. */
const MAX_YAML = 256 * 1024;
const MAX_PARTS = 256;

/** Parts are read as they are asked for. `isWhole` is false when there is more than is looked at. */
export type ReadResult = { readonly parts: Iterable<ResultPart>; readonly isWhole: boolean };

/**
 * The parts of an MCP `CallToolResult` that can hold values: structured content, text blocks and embedded text
 * resources. Text that is JSON or YAML-like as a whole is read into its fields.
 */
export function readResult(result: JsonValue): ReadResult {
  if (!isJsonObject(result)) return { parts: [], isWhole: true };
  const { structuredContent: structured = null, content } = result;
  const blocks: readonly JsonValue[] = Array.isArray(content) ? content : [];
  const isWhole = blocks.length <= MAX_PARTS && blocks.every(isShort);
  return { parts: partsOf(structured, blocks.slice(0, MAX_PARTS)), isWhole };
}

function* partsOf(structured: JsonValue, blocks: readonly JsonValue[]): Generator<ResultPart, void> {
  if (structured !== null) yield { kind: 'fields', value: structured };
  for (const block of blocks) yield* readBlock(block);
}

/** A text that is looked at to its end. */
function isShort(block: JsonValue): boolean {
  if (!isJsonObject(block)) return true;
  const { text, resource } = block as { readonly [key: string]: JsonValue | undefined };
  const inner = isJsonObject(resource) ? resource['text'] : undefined;
  return [text, inner].every((each) => typeof each !== 'string' || each.length <= MAX_TEXT);
}

function readBlock(block: JsonValue): readonly ResultPart[] {
  if (!isJsonObject(block)) return [];
  const { type, text, resource, uri, name } = block as { readonly [key: string]: JsonValue | undefined };
  if (type === 'text' && typeof text === 'string') return [readText(text)];
  if (type === 'resource_link') return [{ kind: 'fields', value: { uri: uri ?? null, name: name ?? null } }];
  if (type !== 'resource' || !isJsonObject(resource)) return [];
  const { text: inner, uri: where } = resource as { readonly [key: string]: JsonValue | undefined };
  const link: ResultPart = { kind: 'fields', value: { uri: where ?? null } };
  return typeof inner === 'string' ? [link, readText(inner)] : [link];
}

/** What is cut off is neither JSON nor the whole of anything. */
function readText(text: string): ResultPart {
  if (text.length > MAX_TEXT) return { kind: 'text', text: text.slice(0, MAX_TEXT) };
  const first = text.trimStart().charAt(0);
  const isJson = first === '{' || first === '[';
  const value = isJson ? readJson(text) : text.length > MAX_YAML ? undefined : readYamlLike(text);
  return value === undefined ? { kind: 'text', text } : { kind: 'fields', value };
}

function readJson(text: string): JsonValue | undefined {
  try {
    const value: JsonValue = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
