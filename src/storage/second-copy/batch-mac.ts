import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Hash } from '../../intent-log/index.ts';

/** Proves to this log that it wrote a batch itself: who can write to the stream can still not put words in its mouth. */
export type BatchMac = {
  of(first: number, leaves: readonly Hash[]): string;
  fits(mac: string, first: number, leaves: readonly Hash[]): boolean;
};

/** HMAC-SHA256 over the name of the log, the place of the batch and the leaf hashes of its records. */
export function createBatchMac(key: Uint8Array, origin: string): BatchMac {
  const digest = (first: number, leaves: readonly Hash[]): Buffer =>
    createHmac('sha256', key)
      .update(`sallyport copy\n${origin}\n${first}\n${leaves.join('\n')}\n`)
      .digest();
  return {
    of: (first, leaves) => digest(first, leaves).toString('base64url'),
    fits(mac, first, leaves) {
      const given = Buffer.from(mac, 'base64url');
      const due = digest(first, leaves);
      return given.length === due.length && timingSafeEqual(given, due);
    },
  };
}
