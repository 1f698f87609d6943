/** One server-sent event (HTML Living Standard §9.2). `data` is absent on one that only moves `id` or `retry`. */
export type ServerEvent = { readonly data?: string; readonly id?: string; readonly retry?: number };

type Fields = { data: string[]; id?: string; retry?: number };

/**
 * Parses `text/event-stream`. Comments and event names are dropped, an event cut off by the end of the stream
 * too, as the standard wants. Throws when one event holds more than `limit` characters.
 */
export async function* readEvents(
  body: AsyncIterable<Uint8Array>,
  limit: number,
): AsyncGenerator<ServerEvent> {
  const decoder = new TextDecoder(); // drops a byte order mark
  const split = createLineSplitter(limit);
  let fields: Fields = { data: [] };
  let size = 0;
  for await (const chunk of body) {
    for (const line of split(decoder.decode(chunk, { stream: true }))) {
      size += line.length;
      if (size > limit) throw new RangeError('server-sent event is too large');
      if (line !== '') {
        readField(line, fields);
        continue;
      }
      const event = toEvent(fields);
      fields = { data: [] };
      size = 0;
      if (event !== undefined) yield event;
    }
  }
}

function readField(line: string, fields: Fields): void {
  const colon = line.indexOf(':');
  const name = colon === -1 ? line : line.slice(0, colon);
  const value = colon === -1 ? '' : line.slice(line.charAt(colon + 1) === ' ' ? colon + 2 : colon + 1);
  if (name === 'data') fields.data.push(value);
  else if (name === 'id' && !value.includes('\0')) fields.id = value;
  else if (name === 'retry' && /^\d{1,9}$/.test(value)) fields.retry = Number(value);
}

function toEvent({ data, id, retry }: Fields): ServerEvent | undefined {
  if (data.length === 0 && id === undefined && retry === undefined) return undefined;
  const text = data.join('\n');
  return {
    ...(text !== '' && { data: text }),
    ...(id !== undefined && { id }),
    ...(retry !== undefined && { retry }),
  };
}

/** Splits text that comes in pieces at LF, CR and CRLF; holds back the unfinished line. */
function createLineSplitter(limit: number): (text: string) => string[] {
  let unfinished: string[] = [];
  let held = 0;
  let endedInReturn = false;
  return (piece) => {
    const text = endedInReturn && piece.startsWith('\n') ? piece.slice(1) : piece;
    if (piece !== '') endedInReturn = piece.endsWith('\r');
    const lines: string[] = [];
    let start = 0;
    for (const { 0: end, index } of text.matchAll(/\r\n|\r|\n/g)) {
      lines.push(unfinished.join('') + text.slice(start, index));
      unfinished = [];
      held = 0;
      start = index + end.length;
    }
    if (start < text.length) unfinished.push(text.slice(start));
    held += text.length - start;
    if (held > limit) throw new RangeError('server-sent event is too large');
    return lines;
  };
}
