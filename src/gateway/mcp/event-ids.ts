import { createHmac, timingSafeEqual } from 'node:crypto';
import type { RunId, UpstreamName } from '../../base/index.ts';

/**
 * Ids of stream events as agents see them. A server may keep the events of all its sessions in one store, where
 * a guessed or overheard id would open another run's stream; sealed ids open only for the run they were given to.
 */
export type EventIds = {
  seal(run: RunId, upstream: UpstreamName, eventId: string): string;
  /** The server's own id; undefined when it was not sealed for this run and upstream. */
  open(run: RunId, upstream: UpstreamName, sealed: string): string | undefined;
};

const MAC_LENGTH = 22; // 16 bytes in base64url

/** `key`: 32 random bytes. Ids do not outlive it: streams are resumed within the life of a process. */
export function createEventIds(key: Uint8Array): EventIds {
  const macOf = (run: RunId, upstream: UpstreamName, eventId: string): string =>
    createHmac('sha256', key)
      .update(`${run} ${upstream} ${eventId}`)
      .digest()
      .subarray(0, 16)
      .toString('base64url');
  return {
    seal: (run, upstream, eventId) => macOf(run, upstream, eventId) + eventId,
    open(run, upstream, sealed) {
      if (sealed.length < MAC_LENGTH) return undefined;
      const eventId = sealed.slice(MAC_LENGTH);
      const mac = Buffer.from(sealed.slice(0, MAC_LENGTH));
      const expected = Buffer.from(macOf(run, upstream, eventId));
      return mac.length === expected.length && timingSafeEqual(mac, expected) ? eventId : undefined;
    },
  };
}
