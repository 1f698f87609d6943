export type LineSplitter = {
  /** Takes the next bytes and returns the lines they complete, without LF or CRLF; empty lines are left out. */
  push(chunk: Buffer): Buffer[];
  /** Has a line grown beyond the limit? Always false when such lines are cut. */
  readonly isOverlong: boolean;
};

const LF = 0x0a;
const CR = 0x0d;

/**
 * Splits a byte stream into lines. Works on bytes, so a character cut in two by a chunk border stays whole.
 * A line of more than `limit` bytes is kept back for good (`refuse`), or shortened (`cut`).
 */
export function createLineSplitter(limit: number, overlong: 'refuse' | 'cut' = 'refuse'): LineSplitter {
  let pieces: Buffer[] = [];
  let size = 0;
  let isOverlong = false;

  function keep(piece: Buffer): void {
    const room = limit - size;
    size += piece.length;
    if (piece.length <= room) pieces.push(piece);
    else if (overlong === 'refuse') isOverlong = true;
    else if (room > 0) pieces.push(piece.subarray(0, room));
  }

  function take(): Buffer | undefined {
    const line = pieces.length === 1 ? pieces[0] : Buffer.concat(pieces);
    pieces = [];
    size = 0;
    if (line === undefined || line.length === 0) return undefined;
    const end = line[line.length - 1] === CR ? line.length - 1 : line.length;
    return end === 0 ? undefined : line.subarray(0, end);
  }

  return {
    push(chunk) {
      const lines: Buffer[] = [];
      let at = 0;
      for (let end = chunk.indexOf(LF); end !== -1 && !isOverlong; end = chunk.indexOf(LF, at)) {
        keep(chunk.subarray(at, end));
        at = end + 1;
        if (isOverlong) break;
        const line = take();
        if (line !== undefined) lines.push(line);
      }
      if (!isOverlong && at < chunk.length) keep(chunk.subarray(at));
      if (isOverlong) pieces = [];
      return lines;
    },
    get isOverlong() {
      return isOverlong;
    },
  };
}
