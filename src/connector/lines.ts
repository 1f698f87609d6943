const LINE_FEED = 0x0a;

/**
 * Splits a byte stream at line feeds, as MCP's stdio transport frames messages. Empty lines are left out; a line
 * of more than `limit` bytes is skipped and stands as `undefined`. What follows the last line feed counts too.
 */
export async function* readLines(
  input: AsyncIterable<Uint8Array | string>,
  limit: number,
): AsyncGenerator<string | undefined> {
  let pieces: Buffer[] = [];
  let size = 0;
  const keep = (piece: Buffer): void => {
    size += piece.length;
    if (size <= limit) pieces.push(piece);
    else pieces = [];
  };
  const take = (): string | undefined => {
    const line = size <= limit ? Buffer.concat(pieces).toString('utf8').trim() : undefined;
    pieces = [];
    size = 0;
    return line;
  };
  for await (const chunk of input) {
    const bytes =
      typeof chunk === 'string'
        ? Buffer.from(chunk)
        : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    let start = 0;
    for (let end = bytes.indexOf(LINE_FEED); end !== -1; end = bytes.indexOf(LINE_FEED, start)) {
      keep(bytes.subarray(start, end));
      start = end + 1;
      const line = take();
      if (line !== '') yield line;
    }
    keep(bytes.subarray(start));
  }
  const last = take();
  if (last !== '') yield last;
}
