import { type Hash, HEAD_BYTES } from '../../intent-log/index.ts';
import { LEAF_LENGTH } from './worker-messages.ts';

/** Records in a stretch, at most. */
export const STRETCH = 1024;

/**
 * What a stretch of the log is to those who follow strands: places, leaf hashes and heads, in memory that goes from
 * one thread to the other without a copy.
 */
export type Stretch = {
  readonly size: number;
  readonly places: Float64Array<ArrayBuffer>;
  readonly lengths: Uint16Array<ArrayBuffer>;
  /** For each record its leaf hash and its head, at equal distances. */
  readonly text: Uint8Array<ArrayBuffer>;
};

const SLOT = LEAF_LENGTH + HEAD_BYTES;

/** Collects records until a stretch is full. */
export type StretchDraft = {
  /** True when there is no room for another one. */
  add(idx: number, leaf: Hash, bytes: Uint8Array): boolean;
  finish(): Stretch;
};

export function createStretch(): StretchDraft {
  const places = new Float64Array(STRETCH);
  const lengths = new Uint16Array(STRETCH);
  const text = new Uint8Array(STRETCH * SLOT);
  const buffer = Buffer.from(text.buffer);
  let size = 0;
  return {
    add(idx, leaf, bytes) {
      const head = bytes.length > HEAD_BYTES ? bytes.subarray(0, HEAD_BYTES) : bytes;
      places[size] = idx;
      lengths[size] = head.length;
      buffer.write(leaf, size * SLOT, 'latin1');
      text.set(head, size * SLOT + LEAF_LENGTH);
      return ++size === STRETCH;
    },
    finish: () => ({ size, places, lengths, text }),
  };
}

/** What must go along with a stretch when it is posted. */
export function memoryOf({ places, lengths, text }: Stretch): ArrayBuffer[] {
  return [places.buffer, lengths.buffer, text.buffer];
}

/** Takes the records of a stretch out again, in order. */
export function eachOf(stretch: Stretch, take: (idx: number, leaf: Hash, head: string) => void): void {
  const text = Buffer.from(stretch.text.buffer);
  for (let i = 0; i < stretch.size; i++) {
    const from = i * SLOT;
    const head = from + LEAF_LENGTH;
    const leaf = text.toString('latin1', from, head);
    take(
      stretch.places[i] as number,
      leaf,
      text.toString('latin1', head, head + (stretch.lengths[i] as number)),
    );
  }
}
