/** An event as the reference reads it. */
export type ReferenceEvent = { data?: string; type?: string; id?: string; retry?: number };

/**
 * Reads a whole event stream the slow and obvious way (HTML Living Standard §9.2.6), all of it at once: what the
 * streaming parser must come to, however the bytes arrive. Events that carry nothing are left out.
 */
export function readEventStream(text: string): ReferenceEvent[] {
  const lines = text.replace(/^\ufeff/, '').split(/\r\n|\r|\n/);
  lines.pop(); // what no line end follows is no line yet
  const events: ReferenceEvent[] = [];
  let event: ReferenceEvent = {};
  for (const line of lines) {
    if (line === '') {
      const { data, id, retry } = event;
      if (data !== undefined || id !== undefined || retry !== undefined) events.push(event);
      event = {};
      continue;
    }
    const [, field = '', value = ''] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
    if (line.startsWith(':')) continue;
    if (field === 'data') event.data = event.data === undefined ? value : `${event.data}\n${value}`;
    if (field === 'event') event.type = value;
    if (field === 'id' && !value.includes('\0')) event.id = value;
    if (field === 'retry' && /^\d{1,9}$/.test(value)) event.retry = Number(value);
  }
  return events;
}
