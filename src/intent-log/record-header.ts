/** The fields that the integrity of the log rests on, cut from the start of a stored record. */
export type RecordHeader = {
  readonly idx: number;
  readonly strand: string;
  readonly seq: number;
  readonly prev: string;
  readonly type: string;
  /** For types that have one. */
  readonly call: string | undefined;
  readonly run: string | undefined;
  /** Leaf hash of the intent, in an outcome. */
  readonly intent: string | undefined;
};

/** Longest head of a record that `scanHeader` may need. */
export const HEAD_BYTES = 384;

const HEADER =
  /^\{"v":[12],"idx":(\d{1,16}),"at":"[0-9TZ:.+-]{20,30}","strand":"([0-9A-Za-z]{1,32})","seq":(\d{1,16}),"prev":"([\w-]{43}|)","type":"([a-z.]{1,32})"(?:,"call":"([0-9A-Z]{26})")?(?:,"run":"([0-9A-Z]{26})")?(?:,"intent":"([\w-]{43})")?[,}]/;

/**
 * Reads the header from the head of a record, by position: the format fixes the order of these fields (docs/log-format.md), and parsing
 * whole records would take longer than hashing them. Undefined when the bytes do not start like a record.
 */
export function scanHeader(head: string): RecordHeader | undefined {
  const parts = HEADER.exec(head);
  if (parts === null) return undefined;
  return {
    idx: Number(parts[1]),
    strand: parts[2] as string,
    seq: Number(parts[3]),
    prev: parts[4] as string,
    type: parts[5] as string,
    call: parts[6],
    run: parts[7],
    intent: parts[8],
  };
}

/** The version that a record claims; undefined when it claims none. */
export function scanVersion(head: string): number | undefined {
  const version = /^\{"v":(\d{1,4}),/.exec(head)?.[1];
  return version === undefined ? undefined : Number(version);
}

/** The first bytes of a record, one character each: all that `scanHeader` reads. */
export function headOf(bytes: Uint8Array): string {
  const length = Math.min(bytes.length, HEAD_BYTES);
  return Buffer.from(bytes.buffer, bytes.byteOffset, length).toString('latin1');
}
