import type { Clock } from '../base/index.ts';

/** Remembers which call tokens were used. Servers that share an audience need one that they share. */
export interface ReplayCache {
  /**
   * True when an id is new; it is then remembered until `expiresAt` (seconds since the epoch). Throws or
   * rejects when it cannot remember: the call is then refused.
   */
  remember(id: string, expiresAt: number): boolean | Promise<boolean>;
}

/** A replay cache for one process. Full means refuse, never forget. */
export function createReplayCache(options: { readonly now: Clock; readonly capacity?: number }): ReplayCache {
  const { now, capacity = 100_000 } = options;
  const expiries = new Map<string, number>();
  return {
    remember(id, expiresAt) {
      const nowSeconds = now() / 1000;
      for (const [oldest, expiry] of expiries) {
        if (expiry > nowSeconds) break; // in order of arrival, which for tokens of one length is that of expiry
        expiries.delete(oldest);
      }
      if (expiries.has(id)) return false;
      if (expiries.size >= capacity) throw new Error(`more than ${capacity} calls to remember`);
      expiries.set(id, expiresAt);
      return true;
    },
  };
}
