// Node.js spends about 30 µs on each ES256 signature that it converts between the two encodings; doing it here
// costs under 1 µs, and every call has one signature to check and one to make.

const COORDINATE_BYTES = 32;
const SEQUENCE = 0x30;
const INTEGER = 0x02;

/** An ES256 signature as JWS has it (RFC 7518 §3.4: R and S, 32 bytes each) in DER (RFC 3279 §2.2.3). */
export function toDer(raw: Uint8Array): Buffer {
  const r = integerOf(raw, 0);
  const s = integerOf(raw, COORDINATE_BYTES);
  const der = Buffer.allocUnsafe(6 + r.length + s.length);
  der[0] = SEQUENCE;
  der[1] = 4 + r.length + s.length;
  let at = putInteger(der, 2, r);
  at = putInteger(der, at, s);
  return der;
}

/** The converse of `toDer`, for what OpenSSL made. */
export function fromDer(der: Uint8Array): Buffer {
  const raw = Buffer.alloc(2 * COORDINATE_BYTES);
  const end = takeInteger(der, 2, raw, 0);
  takeInteger(der, end, raw, COORDINATE_BYTES);
  return raw;
}

/** The shortest form of a big-endian number that DER does not read as negative. */
function integerOf(raw: Uint8Array, from: number): Uint8Array {
  const end = from + COORDINATE_BYTES;
  let start = from;
  while (start < end - 1 && raw[start] === 0) start++;
  const bytes = raw.subarray(start, end);
  return (bytes[0] ?? 0) < 0x80 ? bytes : Buffer.concat([Buffer.alloc(1), bytes]);
}

function putInteger(der: Buffer, at: number, bytes: Uint8Array): number {
  der[at] = INTEGER;
  der[at + 1] = bytes.length;
  der.set(bytes, at + 2);
  return at + 2 + bytes.length;
}

function takeInteger(der: Uint8Array, at: number, raw: Buffer, to: number): number {
  const length = der[at + 1] ?? 0;
  const start = at + 2;
  const end = start + length;
  const sign = length > COORDINATE_BYTES ? 1 : 0;
  raw.set(der.subarray(start + sign, end), to + COORDINATE_BYTES - (length - sign));
  return end;
}
