import { hash } from 'node:crypto';
import { normalForm } from './normal-form.ts';

/** Longer normal forms are digested by SHA-256. */
const MOST = 4_096;
/** No ASCII text begins with it: what follows is UTF-16. */
const WIDE = 0xff;

/**
 * Keyed digests of 64 bits, without an allocation for short texts: a result has hundreds of values. The last digest is
 * in `low` and `high`, 32 bits each.
 */
export type Digester = {
  readonly low: number;
  readonly high: number;
  /** Digests a text as it is. */
  exactly(text: string): void;
  /** Digests the normal form of a part of a text. */
  normalised(text: string, start: number, end: number): void;
};

/**
 * HalfSipHash-2-4 with 64 bits of output (Aumasson and Bernstein), little-endian. Digests are never told to anybody,
 * and the key lies beside them in memory: it keeps others from choosing values whose digests collide.
 *
 * @param secret at least 16 hexadecimal digits
 */
export function createDigester(secret: string): Digester {
  const key0 = Number.parseInt(secret.slice(0, 8), 16) | 0;
  const key1 = Number.parseInt(secret.slice(8, 16), 16) | 0;
  const bytes = new Uint8Array(2 * MOST + 4);
  const words = new Int32Array(bytes.buffer);
  const state = new Int32Array(2);

  function exactly(text: string): void {
    if (text.length > MOST) digestLong(text);
    else halfSipHash(words, copyInto(bytes, text), key0, key1, state);
  }

  function digestLong(text: string): void {
    const digest = hash('sha256', secret + text, 'buffer');
    state[0] = digest.readInt32LE(0);
    state[1] = digest.readInt32LE(4);
  }

  return {
    get low() {
      return state[0] ?? 0;
    },
    get high() {
      return state[1] ?? 0;
    },
    exactly,
    normalised(text, start, end) {
      const length = end - start <= MOST ? foldInto(bytes, text, start, end) : -1;
      if (length === -1) exactly(normalForm(text.slice(start, end)));
      else halfSipHash(words, length, key0, key1, state);
    },
  };
}

/** The bytes of a text: one for each ASCII character; else a mark and two for each UTF-16 code unit. */
function copyInto(bytes: Uint8Array, text: string): number {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code >= 128) return copyWide(bytes, text);
    bytes[at] = code;
  }
  return text.length;
}

function copyWide(bytes: Uint8Array, text: string): number {
  bytes[0] = WIDE;
  bytes[1] = WIDE;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    bytes[2 * at + 2] = code;
    bytes[2 * at + 3] = code >> 8;
  }
  return 2 * text.length + 2;
}

const SPACE = 32;
const HYPHEN = 45;
/** What an ASCII character is to a normal form. */
const OTHER = 0;
const WHITE = 1;
const UPPER = 2;
const DIGIT = 3;
/** It may be grouped: a lower-case letter, hyphen. */
const PLAIN = 4;
/** Only where one of these is can there be a URL whose scheme or last slash goes. */
const OF_URL = 5;

const KINDS = Uint8Array.from({ length: 128 }, (_, code) => {
  if (code === SPACE || (code >= 9 && code <= 13)) return WHITE;
  if (code >= 65 && code <= 90) return UPPER;
  if (code >= 48 && code <= 57) return DIGIT;
  if (code === HYPHEN || (code >= 97 && code <= 122)) return PLAIN;
  return '/?#'.includes(String.fromCharCode(code)) ? OF_URL : OTHER;
});

/**
 * `normalForm` of a part of an ASCII text, for all but URLs and account numbers: white space and case. Returns the
 * number of bytes, or -1 when it takes `normalForm` itself.
 */
function foldInto(bytes: Uint8Array, text: string, start: number, end: number): number {
  let length = 0;
  let isSpaceDue = false;
  let hasSpace = false;
  let mayBeUrl = false;
  let hasOther = false;
  for (let at = start; at < end; at++) {
    const code = text.charCodeAt(at);
    if (code >= 128) return -1;
    const kind = KINDS[code] ?? OTHER;
    if (kind === WHITE) {
      isSpaceDue = length > 0;
      continue;
    }
    if (isSpaceDue) {
      bytes[length++] = SPACE;
      hasSpace = true;
      isSpaceDue = false;
    }
    if (kind === OTHER) hasOther = true;
    else if (kind === OF_URL) hasOther = mayBeUrl = true;
    bytes[length++] = kind === UPPER ? code + 32 : code;
  }
  if (mayBeUrl && !hasSpace) return -1;
  return !hasOther && mayBeAccount(bytes, length) ? -1 : length;
}

const isDigitAt = (bytes: Uint8Array, at: number): boolean => KINDS[bytes[at] ?? 0] === DIGIT;

/** Begins like an account number in groups, and not like a date. */
function mayBeAccount(bytes: Uint8Array, length: number): boolean {
  if (length < 4) return false;
  if (!isDigitAt(bytes, 0)) return isDigitAt(bytes, 2) && isDigitAt(bytes, 3);
  let digits = 1;
  while (digits < length && isDigitAt(bytes, digits)) digits++;
  return digits < length && !(digits === 4 && isDate(bytes, length));
}

function isDate(bytes: Uint8Array, length: number): boolean {
  if (length < 10 || bytes[4] !== HYPHEN || bytes[7] !== HYPHEN) return false;
  return [5, 6, 8, 9].every((at) => isDigitAt(bytes, at));
}

/** Of the first `length` bytes of `words`, into `out`. Writes zeros behind them. */
function halfSipHash(words: Int32Array, length: number, key0: number, key1: number, out: Int32Array): void {
  const whole = length >> 2;
  const rest = (length & 3) << 3;
  let v0 = key0;
  let v1 = key1 ^ 0xee;
  let v2 = 0x6c796765 ^ key0;
  let v3 = 0x74656462 ^ key1;
  const tail = rest === 0 ? 0 : (words[whole] ?? 0) & ((1 << rest) - 1);
  const last = (length << 24) | tail;
  // One round function, spelled out: a call for each would cost more than the round.
  for (let at = 0, rounds = 0; ; ) {
    const word = at < whole ? (words[at] ?? 0) : last;
    const isAbsorbing = at <= whole;
    if (isAbsorbing) v3 ^= word;
    else if (at === whole + 1) v2 ^= 0xee;
    else v1 ^= 0xdd;
    for (rounds = isAbsorbing ? 2 : 4; rounds > 0; rounds--) {
      v0 = (v0 + v1) | 0;
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
      v2 = (v2 << 16) | (v2 >>> 16);
    }
    if (isAbsorbing) v0 ^= word;
    else if (at === whole + 1) out[0] = v1 ^ v3;
    else {
      out[1] = v1 ^ v3;
      return;
    }
    at++;
  }
}
