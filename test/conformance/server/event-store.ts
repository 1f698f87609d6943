import type { EventStore, JSONRPCMessage } from '@modelcontextprotocol/server';

/** Keeps the events of one session in memory, so that its client can come back to a closed stream. */
export function createEventStore(): EventStore {
  const events: { readonly streamId: string; readonly message: JSONRPCMessage }[] = [];
  return {
    async storeEvent(streamId, message) {
      events.push({ streamId, message });
      return String(events.length - 1);
    },
    async getStreamIdForEventId(eventId) {
      return events[Number(eventId)]?.streamId;
    },
    async replayEventsAfter(lastEventId, { send }) {
      const last = Number(lastEventId);
      const streamId = events[last]?.streamId ?? '';
      for (const [i, event] of events.entries()) {
        const isPriming = Object.keys(event.message).length === 0;
        if (i > last && event.streamId === streamId && !isPriming) await send(String(i), event.message);
      }
      return streamId;
    },
  };
}
