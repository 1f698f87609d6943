import type { StreamEvent } from './upstream.ts';

/** The latest events of one session, each with an id, so that a client can come back to a stream it lost. */
export type EventStore = {
  /** Keeps an event of a stream and returns it with its id. */
  append(stream: number, event: StreamEvent, bytes: number): StreamEvent;
  /** The stream an event was on and what came after it there; undefined when it is not, or no longer, known. */
  after(id: string): { readonly stream: number; readonly missed: readonly Kept[] } | undefined;
};

type Kept = { readonly stream: number; readonly event: StreamEvent; readonly bytes: number };

const MAX_EVENTS = 512;
const MAX_BYTES = 1_048_576;

/** `prefix`: makes ids of this session unlike those of any other. The latest event is kept whatever its size. */
export function createEventStore(prefix: string): EventStore {
  const events: Kept[] = [];
  let heldBytes = 0;
  let dropped = 0;
  return {
    append(stream, event, bytes) {
      const withId = { ...event, id: `${prefix}-${dropped + events.length}` };
      events.push({ stream, event: withId, bytes });
      heldBytes += bytes;
      while (events.length > 1 && (events.length > MAX_EVENTS || heldBytes > MAX_BYTES)) {
        heldBytes -= events.shift()?.bytes ?? 0;
        dropped++;
      }
      return withId;
    },

    after(id) {
      const index = events.findIndex(({ event }) => event.id === id);
      const last = events[index];
      if (last === undefined) return undefined;
      const { stream } = last;
      return { stream, missed: events.slice(index + 1).filter((kept) => kept.stream === stream) };
    },
  };
}
