import { TextDecoder } from 'node:util';
import { UpstreamError } from './upstream.ts';

/** One event as it stood in the stream, before its data is read as JSON. */
export type SseEvent = {
  /** The `data` lines joined with LF; undefined when there was no such line. */
  readonly data?: string;
  readonly type?: string;
  readonly id?: string;
  /** Milliseconds. */
  readonly retry?: number;
};

export type SseParser = {
  /**
   * Takes the next bytes and returns the events they complete. Throws `UpstreamError`: `not_mcp` for bytes that
   * are not UTF-8, `too_large` for an event beyond the limit.
   */
  push(chunk: Uint8Array): SseEvent[];
};

type Draft = { data?: string; type?: string; id?: string; retry?: number };

const LF = 0x0a;
const CR = 0x0d;

/**
 * Parses an event stream as it arrives (HTML Living Standard §9.2.6): any chunk borders, LF, CR and CRLF, a byte
 * order mark in front. An event that the stream breaks off is never returned. `limit` bounds one event, counted
 * in UTF-16 code units.
 */
export function createSseParser(limit: number): SseParser {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let unfinished: string[] = []; // pieces of the last line, so that a long one is joined only once
  let size = 0;
  let afterCr = false;
  let draft: Draft = {};

  function grow(by: number): void {
    size += by;
    if (size > limit)
      throw new UpstreamError({ reason: 'too_large', detail: `an event exceeds ${limit} characters` });
  }

  function takeLine(end: string, events: SseEvent[]): void {
    unfinished.push(end);
    const line = unfinished.length === 1 ? end : unfinished.join('');
    unfinished = [];
    if (line === '') {
      if (hasAny(draft)) events.push(draft);
      draft = {};
    } else {
      applyField(draft, line);
    }
    if (line === '' || line.startsWith(':')) size = draft.data?.length ?? 0;
  }

  return {
    push(chunk) {
      const text = decode(decoder, chunk);
      const events: SseEvent[] = [];
      let at = 0;
      if (afterCr && text !== '') {
        if (text.charCodeAt(0) === LF) at = 1;
        afterCr = false;
      }
      for (const end of lineEnds(text, at)) {
        grow(end - at);
        takeLine(text.slice(at, end), events);
        at = end + 1;
        if (text.charCodeAt(end) !== CR) continue;
        if (at === text.length) afterCr = true;
        else if (text.charCodeAt(at) === LF) at++;
      }
      if (at < text.length) {
        grow(text.length - at);
        unfinished.push(text.slice(at));
      }
      return events;
    },
  };
}

function decode(decoder: TextDecoder, chunk: Uint8Array): string {
  try {
    return decoder.decode(chunk, { stream: true });
  } catch (cause) {
    throw new UpstreamError({ reason: 'not_mcp', detail: 'the event stream is not UTF-8' }, { cause });
  }
}

/** Positions of line ends from `start` on; of CRLF that of CR. Each character is looked at once. */
function* lineEnds(text: string, start: number): Generator<number> {
  let lf = text.indexOf('\n', start);
  let cr = text.indexOf('\r', start);
  while (lf !== -1 || cr !== -1) {
    const isCr = cr !== -1 && (lf === -1 || cr < lf);
    const end = isCr ? cr : lf;
    yield end;
    const next = isCr && lf === end + 1 ? end + 2 : end + 1;
    if (lf !== -1 && lf < next) lf = text.indexOf('\n', next);
    if (cr !== -1 && cr < next) cr = text.indexOf('\r', next);
  }
}

function hasAny(draft: Draft): boolean {
  return draft.data !== undefined || draft.id !== undefined || draft.retry !== undefined;
}

function applyField(draft: Draft, line: string): void {
  const colon = line.indexOf(':');
  if (colon === 0) return;
  const field = colon === -1 ? line : line.slice(0, colon);
  const value = colon === -1 ? '' : line.slice(line.charCodeAt(colon + 1) === 0x20 ? colon + 2 : colon + 1);
  switch (field) {
    case 'data':
      draft.data = draft.data === undefined ? value : `${draft.data}\n${value}`;
      break;
    case 'event':
      draft.type = value;
      break;
    case 'id':
      if (!value.includes('\0')) draft.id = value;
      break;
    case 'retry':
      if (/^\d{1,9}$/.test(value)) draft.retry = Number(value);
      break;
  }
}
