import type { JsonObject, JsonValue } from '../base/index.ts';

/** The least that `fitJson` can cut to: room for a mark in place of anything. */
const LEAST = 48;

/**
 * Cuts what is too long until the JSON text has at most `bytes` UTF-8 bytes (at least 48).
 *
 * Small values stay whole and large ones share the room that is left; strings stay strings, lists lists,
 * objects objects, and each cut leaves a mark that says how much is gone.
 */
export function fitJson(value: JsonValue, bytes: number): JsonValue {
  const size = jsonBytes(value);
  if (size <= bytes) return value;
  if (typeof value === 'string') return cutText(value, bytes, size);
  if (typeof value !== 'object' || value === null) return value; // a number: never longer than 48 bytes
  if (isArray(value)) return fitList(value, bytes);
  return fitObject(Object.entries(value), bytes);
}

/** Length of the JSON text of a value in UTF-8. */
export function jsonBytes(value: JsonValue): number {
  return Buffer.byteLength(JSON.stringify(value));
}

function cutText(text: string, bytes: number, size: number): string {
  let keep = Math.floor((text.length * (bytes - LEAST)) / size);
  for (;;) {
    const head = text.slice(0, Math.max(keep, 0)).replace(/[\uD800-\uDBFF]$/, '');
    const cut = `${head}…[${size - jsonBytes(head)} bytes cut]`;
    if (keep <= 0 || jsonBytes(cut) <= bytes) return cut;
    keep = Math.floor(keep * 0.9) - 1;
  }
}

function fitList(items: readonly JsonValue[], bytes: number): JsonValue[] {
  const kept = items.slice(0, Math.floor((bytes - LEAST) / (LEAST + 1)));
  const shares = shareOut(kept.map(jsonBytes), bytes - LEAST - kept.length);
  const out = kept.map((item, i) => fitJson(item, shares[i] as number));
  if (kept.length < items.length) out.push(`…[${items.length - kept.length} items cut]`);
  return out;
}

function fitObject(entries: readonly [string, JsonValue][], bytes: number): JsonObject {
  const kept: [string, JsonValue][] = [];
  let room = bytes - LEAST - 2;
  for (const [key, value] of entries) {
    const overhead = jsonBytes(key) + 2; // colon and comma
    if (overhead + LEAST > room - kept.length * LEAST) continue;
    kept.push([key, value]);
    room -= overhead;
  }
  const values = kept.map(([, value]) => value);
  const shares = shareOut(values.map(jsonBytes), room);
  const out = kept.map(([key, value], i): [string, JsonValue] => [key, fitJson(value, shares[i] as number)]);
  if (kept.length < entries.length) out.push(['…', `[${entries.length - kept.length} entries cut]`]);
  return Object.fromEntries(out);
}

/** Gives every size its whole, smallest first, as long as an even share of the rest allows it. */
function shareOut(sizes: readonly number[], room: number): number[] {
  const shares = new Array<number>(sizes.length);
  const smallestFirst = sizes.map((_, i) => i).sort((a, b) => (sizes[a] as number) - (sizes[b] as number));
  let left = room;
  smallestFirst.forEach((index, done) => {
    const share = Math.min(sizes[index] as number, Math.floor(left / (sizes.length - done)));
    shares[index] = share;
    left -= share;
  });
  return shares;
}

const isArray: (value: unknown) => value is readonly JsonValue[] = Array.isArray;
