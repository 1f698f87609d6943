import type { JsonValue } from '../../base/index.ts';
import { indentOf, isBlank, type Lines, readScalar } from './yaml-scalars.ts';

const MAX_DEPTH = 16;

/**
 * Reads block mappings and sequences of scalars, as tools print them. A subset of YAML in which every scalar stays
 * a string; undefined unless the whole text is in it and no mapping has a key twice: half a reading would let
 * text pass for fields.
 */
export function readYamlLike(text: string): JsonValue | undefined {
  const lines: Lines = { all: text.split('\n'), at: 0 };
  skipBlank(lines);
  const value = readNode(lines, 0, 0);
  skipBlank(lines);
  return lines.at === lines.all.length ? value : undefined;
}

function skipBlank(lines: Lines): void {
  while (lines.at < lines.all.length && isBlank(lines.all[lines.at] ?? '')) lines.at++;
}

/** A mapping or sequence whose lines are indented by exactly `indent`. */
function readNode(lines: Lines, indent: number, depth: number): JsonValue | undefined {
  const line = lines.all[lines.at];
  if (line === undefined || depth > MAX_DEPTH || indentOf(line) !== indent) return undefined;
  return isItem(line, indent) ? readSequence(lines, indent, depth) : readMapping(lines, indent, depth);
}

function isItem(line: string, indent: number): boolean {
  return (
    line.charCodeAt(indent) === 0x2d && (line.length === indent + 1 || line.charCodeAt(indent + 1) === 0x20)
  );
}

function readSequence(lines: Lines, indent: number, depth: number): JsonValue | undefined {
  const items: JsonValue[] = [];
  for (skipBlank(lines); lines.at < lines.all.length; skipBlank(lines)) {
    const line = lines.all[lines.at] ?? '';
    if (indentOf(line) < indent || !isItem(line, indent)) break;
    const item = readItem(line, lines, indent, depth);
    if (item === undefined) return undefined;
    items.push(item);
  }
  return items;
}

function readItem(line: string, lines: Lines, indent: number, depth: number): JsonValue | undefined {
  const rest = line.slice(indent + 2);
  if (rest.trim() === '') return undefined;
  const inner = indent + 2 + indentOf(rest);
  if (keyEnd(line, inner) !== -1 || isItem(line, inner)) {
    const all = lines.all as string[]; // ours: made by split
    all[lines.at] = ' '.repeat(inner) + line.slice(inner);
    return readNode(lines, inner, depth + 1);
  }
  lines.at++;
  return readLeaf(rest.trim(), lines, indent);
}

function readMapping(lines: Lines, indent: number, depth: number): JsonValue | undefined {
  const entries = new Map<string, JsonValue>();
  for (skipBlank(lines); lines.at < lines.all.length; skipBlank(lines)) {
    const line = lines.all[lines.at] ?? '';
    const at = indentOf(line);
    if (at < indent) break;
    const end = at === indent && !isItem(line, indent) ? keyEnd(line, indent) : -1;
    if (end === -1) return undefined;
    const key = keyOf(line.slice(indent, end));
    lines.at++;
    const value = readValue(line.slice(end + 1).trim(), lines, indent, depth);
    if (value === undefined || entries.has(key)) return undefined;
    entries.set(key, value);
  }
  return entries.size === 0 ? undefined : Object.fromEntries(entries);
}

function readValue(rest: string, lines: Lines, indent: number, depth: number): JsonValue | undefined {
  if (rest !== '') return readLeaf(rest, lines, indent);
  const before = lines.at;
  skipBlank(lines);
  const next = lines.all[lines.at];
  const nextIndent = next === undefined ? -1 : indentOf(next);
  if (next !== undefined && (nextIndent > indent || (nextIndent === indent && isItem(next, indent)))) {
    return readNode(lines, nextIndent, depth + 1);
  }
  lines.at = before;
  return null;
}

function readLeaf(first: string, lines: Lines, indent: number): JsonValue | undefined {
  if (first === '[]' || first === '{}' || first === 'null' || first === '~') return null;
  return readScalar(first, lines, indent);
}

const MAX_KEY = 128;

/** Where the colon after a key stands, or -1. */
function keyEnd(line: string, from: number): number {
  const mark = line.charCodeAt(from);
  if (mark === 0x22 || mark === 0x27) {
    const close = line.indexOf(line.charAt(from), from + 1);
    return close !== -1 && isColon(line, close + 1) ? close + 1 : -1;
  }
  for (let at = line.indexOf(':', from); at !== -1 && at - from <= MAX_KEY; at = line.indexOf(':', at + 1)) {
    if (isColon(line, at)) return at > from ? at : -1;
  }
  return -1;
}

function isColon(line: string, at: number): boolean {
  return line.charCodeAt(at) === 0x3a && (at + 1 === line.length || line.charCodeAt(at + 1) === 0x20);
}

function keyOf(raw: string): string {
  return raw.startsWith('"') || raw.startsWith("'") ? raw.slice(1, -1) : raw.trimEnd();
}
