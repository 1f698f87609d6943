import { isJsonObject, type JsonValue } from '../../base/index.ts';
import { readYamlLike } from './yaml-like.ts';

/** A part of a result: fields that have names, or text. */
export type ResultPart =
  | { readonly kind: 'fields'; readonly value: JsonValue }
  | { readonly kind: 'text'; readonly text: string };

const MAX_TEXT = 1024 * 1024;
const MAX_PARTS = 256;

/** `isWhole` is false when there is more than is looked at. */
export type ReadResult = { readonly parts: readonly ResultPart[]; readonly isWhole: boolean };

/**
 * The parts of an MCP `CallToolResult` that can hold values: structured content, text blocks and embedded text
 * resources. Text that is JSON or YAML-like as a whole is read into its fields.
 */
export function readResult(result: JsonValue): ReadResult {
  const parts: ResultPart[] = [];
  if (!isJsonObject(result)) return { parts, isWhole: true };
  const structured = result['structuredContent'];
  if (structured !== undefined && structured !== null) parts.push({ kind: 'fields', value: structured });
  const content = result['content'];
  if (!Array.isArray(content)) return { parts, isWhole: true };
  const blocks = content as readonly JsonValue[];
  let isWhole = blocks.length <= MAX_PARTS;
  for (const block of blocks.slice(0, MAX_PARTS)) {
    for (const part of readBlock(block)) parts.push(part);
    isWhole &&= isShort(block);
  }
  return { parts, isWhole };
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

function readText(whole: string): ResultPart {
  const text = whole.length > MAX_TEXT ? whole.slice(0, MAX_TEXT) : whole;
  const first = text.trimStart().charAt(0);
  if (first === '{' || first === '[') {
    const value = readJson(text);
    return value === undefined ? { kind: 'text', text } : { kind: 'fields', value };
  }
  const value = readYamlLike(text);
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
