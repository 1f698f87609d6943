import type { Clock } from '../../base/index.ts';

/** A map whose entries go by themselves when their time is up. Holds a bounded number of them. */
export interface ExpiringMap<Value> {
  get(key: string): Value | undefined;
  /** Throws when the map is full: what cannot be remembered must not be accepted. Keys are set once. */
  add(key: string, value: Value, expiresAt: number): void;
  readonly size: number;
}

/** `expiresAt` is in seconds since the epoch. Expiry costs one look per second and nothing per entry kept. */
export function createExpiringMap<Value>(now: Clock, capacity: number): ExpiringMap<Value> {
  const values = new Map<string, Value>();
  const wheel = new Map<number, string[]>(); // keys by the second in which they go
  let sweptAt = Number.NEGATIVE_INFINITY;

  function sweep(): void {
    const second = Math.floor(now() / 1000);
    if (second === sweptAt) return;
    sweptAt = second;
    for (const [expiry, keys] of wheel) {
      if (expiry > second) continue;
      for (const key of keys) values.delete(key);
      wheel.delete(expiry);
    }
  }

  return {
    get(key) {
      sweep();
      return values.get(key);
    },
    add(key, value, expiresAt) {
      sweep();
      if (values.size >= capacity) throw new Error(`more than ${capacity} entries to remember`);
      const expiry = Math.ceil(expiresAt);
      if (expiry <= sweptAt) return;
      values.set(key, value);
      const keys = wheel.get(expiry);
      if (keys === undefined) wheel.set(expiry, [key]);
      else keys.push(key);
    },
    get size() {
      return values.size;
    },
  };
}
