import type { Clock } from '../../base/index.ts';

/** Counts a request of somebody; the seconds to wait when there were too many, undefined when there were not. */
export type RateLimit = (who: string) => number | undefined;

export type RateLimitOptions = {
  /** Requests that may come in a minute, all at once or spread out. */
  readonly perMinute: number;
  /** How many callers are remembered. The one that was not seen for longest is forgotten first. */
  readonly capacity?: number;
  readonly now: Clock;
};

const CAPACITY = 10_000;

type Bucket = { left: number; at: number };

/** A bucket for each caller that fills up again within a minute. Holds a bounded number of them. */
export function createRateLimit({ perMinute, capacity = CAPACITY, now }: RateLimitOptions): RateLimit {
  const buckets = new Map<string, Bucket>();
  const perMilli = perMinute / 60_000;
  return (who) => {
    const at = now();
    const bucket = buckets.get(who) ?? { left: perMinute, at };
    const passed = Math.max(0, at - bucket.at); // a clock that is set back gives nobody more
    bucket.left = Math.min(perMinute, bucket.left + passed * perMilli);
    bucket.at = at;
    buckets.delete(who);
    buckets.set(who, bucket);
    if (buckets.size > capacity) buckets.delete(buckets.keys().next().value ?? '');
    if (bucket.left < 1) return Math.ceil((1 - bucket.left) / perMilli / 1000);
    bucket.left -= 1;
    return undefined;
  };
}

/** Who counts as one source: an IPv4 address, or the /64 network of an IPv6 address. */
export function sourceOf(address: string | undefined): string {
  if (address === undefined) return 'unknown';
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  if (!address.includes(':')) return address;
  const [head = '', tail] = address.replace(/%.*$/, '').split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - before.length - after.length);
  const groups = [...before, ...Array.from({ length: zeros }, () => '0'), ...after];
  return `${groups.slice(0, 4).join(':')}::/64`;
}
