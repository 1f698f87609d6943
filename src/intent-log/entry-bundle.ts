import { MAX_RECORD_BYTES } from './encode-record.ts';

const LENGTH_BYTES = 2;

/** Records as an entry bundle (C2SP tlog-tiles): each after its length in 16 bits, big-endian. */
export function encodeEntryBundle(records: readonly Uint8Array[]): Buffer {
  const parts = records.flatMap((bytes) => {
    if (bytes.length > MAX_RECORD_BYTES) throw new RangeError('a record is longer than an entry can be');
    const length = Buffer.alloc(LENGTH_BYTES);
    length.writeUInt16BE(bytes.length);
    return [length, bytes];
  });
  return Buffer.concat(parts);
}

/** The records of an entry bundle; undefined when it does not hold `count` whole ones and nothing else. */
export function decodeEntryBundle(bundle: Uint8Array, count: number): Uint8Array[] | undefined {
  const buffer = Buffer.from(bundle.buffer, bundle.byteOffset, bundle.length);
  const records: Uint8Array[] = [];
  let at = 0;
  while (at + LENGTH_BYTES <= buffer.length && records.length <= count) {
    const end = at + LENGTH_BYTES + buffer.readUInt16BE(at);
    if (end > buffer.length) return undefined;
    records.push(buffer.subarray(at + LENGTH_BYTES, end));
    at = end;
  }
  return records.length === count && at === buffer.length ? records : undefined;
}
