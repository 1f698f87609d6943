/** One element of DER (X.690): its tag and what is in it. */
export type DerElement = { readonly tag: number; readonly content: Uint8Array };

/** Tags that certificates are made of. */
export const DER = {
  boolean: 0x01,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  sequence: 0x30,
  explicit3: 0xa3,
  uriName: 0x86,
} as const;

/** Reads all elements that stand one after the other. Throws for anything that is not definite, minimal DER. */
export function readDer(bytes: Uint8Array): readonly DerElement[] {
  const elements: DerElement[] = [];
  let at = 0;
  while (at < bytes.length) {
    const tag = byteAt(bytes, at);
    if ((tag & 0x1f) === 0x1f) throw new Error('a tag of several bytes');
    const { length, next } = readLength(bytes, at + 1);
    if (next + length > bytes.length) throw new Error('longer than its container');
    elements.push({ tag, content: bytes.subarray(next, next + length) });
    at = next + length;
  }
  return elements;
}

/** Reads one element that must have this tag and be alone. */
export function readOne(bytes: Uint8Array, tag: number): DerElement {
  const [element, ...others] = readDer(bytes);
  if (element?.tag !== tag || others.length > 0) throw new Error('another element than expected');
  return element;
}

/** An object identifier in dots. */
export function oidText(content: Uint8Array): string {
  const parts: number[] = [];
  let value = 0;
  for (const [index, byte] of content.entries()) {
    value = value * 128 + (byte & 0x7f);
    if (value > 0xffffffff) throw new Error('an object identifier that is too large');
    if ((byte & 0x80) !== 0) {
      if (index === content.length - 1) throw new Error('an object identifier that is cut off');
      continue;
    }
    if (parts.length === 0)
      parts.push(Math.min(Math.floor(value / 40), 2), value - 40 * Math.min(Math.floor(value / 40), 2));
    else parts.push(value);
    value = 0;
  }
  return parts.join('.');
}

function readLength(bytes: Uint8Array, at: number): { readonly length: number; readonly next: number } {
  const first = byteAt(bytes, at);
  if (first < 0x80) return { length: first, next: at + 1 };
  const count = first & 0x7f;
  if (count === 0 || count > 3) throw new Error('a length that is indefinite or too large');
  let length = 0;
  for (let i = 1; i <= count; i++) length = length * 256 + byteAt(bytes, at + i);
  const isMinimal = length >= 0x80 && length >= 256 ** (count - 1);
  if (!isMinimal) throw new Error('a length that could be shorter');
  return { length, next: at + 1 + count };
}

function byteAt(bytes: Uint8Array, at: number): number {
  const byte = bytes[at];
  if (byte === undefined) throw new Error('cut off');
  return byte;
}
