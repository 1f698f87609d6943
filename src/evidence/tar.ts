import { err, ok, type Result } from '../base/index.ts';

/** A file of an archive. Names are relative and plain. */
export type TarFile = { readonly name: string; readonly bytes: Uint8Array };

const BLOCK = 512;
const MAX_NAME = 99;
const MAX_FILES = 200_000;
const NAME = /^[A-Za-z0-9_.-]+(?:\/[A-Za-z0-9_.-]+){0,2}$/;

/** Writes a POSIX ustar archive. The same files make the same bytes: no times, no owners. */
export function writeTar(files: readonly TarFile[]): Buffer {
  const parts: Uint8Array[] = [];
  for (const { name, bytes } of files) {
    if (!isPlain(name)) throw new TypeError('a file name in an archive must be relative and plain');
    parts.push(headerOf(name, bytes.length), bytes, Buffer.alloc((BLOCK - (bytes.length % BLOCK)) % BLOCK));
  }
  return Buffer.concat([...parts, Buffer.alloc(2 * BLOCK)]);
}

/** Reads an archive that `writeTar` could have written, and no other. The error says what is odd about it. */
export function readTar(bytes: Uint8Array): Result<TarFile[], string> {
  const files: TarFile[] = [];
  const names = new Set<string>();
  let at = 0;
  for (; at + BLOCK <= bytes.length && bytes[at] !== 0; ) {
    const header = Buffer.from(bytes.buffer, bytes.byteOffset + at, BLOCK);
    const name = header
      .subarray(0, MAX_NAME + 1)
      .toString('latin1')
      .replace(/\0.*$/s, '');
    const digits = /^([0-7]{11})\0$/.exec(header.subarray(124, 136).toString('latin1'))?.[1];
    const size = Number.parseInt(digits ?? '', 8);
    if (!isPlain(name) || digits === undefined || at + BLOCK + size > bytes.length) {
      return err(`the archive is damaged at byte ${at}`);
    }
    if (names.has(name)) return err(`the archive holds ${name} twice`);
    if (files.length === MAX_FILES) return err(`the archive holds more than ${MAX_FILES} files`);
    names.add(name);
    files.push({ name, bytes: bytes.subarray(at + BLOCK, at + BLOCK + size) });
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
  }
  return writeTar(files).equals(bytes) ? ok(files) : err('the archive holds bytes that are part of no file');
}

function isPlain(name: string): boolean {
  return name.length <= MAX_NAME && NAME.test(name) && !name.split('/').includes('..');
}

function headerOf(name: string, size: number): Buffer {
  const header = Buffer.alloc(BLOCK);
  const put = (text: string, at: number) => header.write(text, at, 'latin1');
  put(name, 0);
  put('0000644\0', 100);
  put('0000000\0', 108);
  put('0000000\0', 116);
  put(`${size.toString(8).padStart(11, '0')}\0`, 124);
  put('00000000000\0', 136);
  put('        ', 148);
  put('0', 156);
  put('ustar\u000000', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  put(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return header;
}
