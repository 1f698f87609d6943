import { canonicalJson, type JsonValue } from '../base/index.ts';
import type { RecordedAnswer, RecordedCall } from './recording.ts';

/** One place in the comparison of two runs. */
export type RunDifference =
  | { readonly kind: 'same'; readonly left: RecordedCall; readonly right: RecordedCall }
  /** The same was asked and something else answered. */
  | { readonly kind: 'answer'; readonly left: RecordedCall; readonly right: RecordedCall }
  /** The same tool was called with other arguments. */
  | { readonly kind: 'arguments'; readonly left: RecordedCall; readonly right: RecordedCall }
  | { readonly kind: 'left'; readonly left: RecordedCall }
  | { readonly kind: 'right'; readonly right: RecordedCall };

/** Calls compared at most: the comparison takes the square of it. */
export const MOST_COMPARED = 3000;

/**
 * Aligns two runs by target and arguments (longest common subsequence), then pairs what is left between by target.
 * Values that only name the moment, `_meta`, do not count in answers.
 */
export function diffRuns(left: readonly RecordedCall[], right: readonly RecordedCall[]): RunDifference[] {
  if (Math.max(left.length, right.length) > MOST_COMPARED)
    throw new RangeError(`runs of more than ${MOST_COMPARED} calls are not compared`);
  const [a, b] = [left.map(keyOf), right.map(keyOf)];
  const lengths = commonLengths(a, b);
  const out: RunDifference[] = [];
  let pending: { left: RecordedCall[]; right: RecordedCall[] } = { left: [], right: [] };
  const settle = (): void => {
    out.push(...pairLeftovers(pending.left, pending.right));
    pending = { left: [], right: [] };
  };
  for (let i = 0, j = 0; i < left.length || j < right.length; ) {
    const [one, other] = [left[i], right[j]];
    if (one !== undefined && other !== undefined && a[i] === b[j]) {
      settle();
      const kind = answerKey(one.answer) === answerKey(other.answer) ? 'same' : 'answer';
      out.push({ kind, left: one, right: other });
      i++;
      j++;
    } else if (other === undefined || (one !== undefined && at(lengths, i + 1, j) >= at(lengths, i, j + 1))) {
      if (one !== undefined) pending.left.push(one);
      i++;
    } else {
      pending.right.push(other);
      j++;
    }
  }
  settle();
  return out;
}

/** What is between two common calls: in order, the same tool is the same call with other arguments. */
function pairLeftovers(left: readonly RecordedCall[], right: readonly RecordedCall[]): RunDifference[] {
  const rest = [...right];
  const out: RunDifference[] = [];
  for (const one of left) {
    const place = rest.findIndex((other) => targetOf(other) === targetOf(one));
    if (place < 0) {
      out.push({ kind: 'left', left: one });
      continue;
    }
    for (const other of rest.splice(0, place)) out.push({ kind: 'right', right: other });
    const [other] = rest.splice(0, 1);
    if (other !== undefined) out.push({ kind: 'arguments', left: one, right: other });
  }
  return [...out, ...rest.map((other): RunDifference => ({ kind: 'right', right: other }))];
}

function commonLengths(a: readonly string[], b: readonly string[]): readonly Uint16Array[] {
  const rows = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      const row = rows[i];
      if (row === undefined) continue;
      row[j] = a[i] === b[j] ? at(rows, i + 1, j + 1) + 1 : Math.max(at(rows, i + 1, j), at(rows, i, j + 1));
    }
  }
  return rows;
}

function at(rows: readonly Uint16Array[], i: number, j: number): number {
  return rows[i]?.[j] ?? 0;
}

function targetOf({ upstream, method, tool }: RecordedCall): string {
  return `${upstream} ${method} ${tool ?? ''}`;
}

function keyOf(call: RecordedCall): string {
  return `${targetOf(call)} ${call.args ?? ''}`;
}

function answerKey(answer: RecordedAnswer): string {
  if (answer.kind === 'none') return answer.kind;
  if (answer.kind === 'lost') return `lost ${answer.why}`;
  return `${answer.kind} ${canonicalJson(withoutMeta(answer.value))}`;
}

function withoutMeta(value: JsonValue): JsonValue {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([key]) => key !== '_meta')) as JsonValue;
}
