import type { Logger } from 'pino';
import { type Clock, err, ok, type Result } from '../base/index.ts';
import type { KeyChange, KeyEntry, KeyRefusal, KeyRing } from '../identity/index.ts';
import type { IntentLog } from '../intent-log/index.ts';

/** What operators do to the signing keys, and what the gateway does on its own; all of it is in the log. */
export type KeyCare = {
  list(): readonly KeyEntry[];
  /** In force at every gateway when it resolves; rejects with `ERR_STATE_UNAVAILABLE` when only here. */
  rotate(by: string): Promise<Result<readonly KeyChange[], KeyRefusal>>;
  remove(kid: string, by: string): Promise<Result<readonly KeyChange[], KeyRefusal>>;
  /** To be called now and then: rotates what is due, takes away what is over. Never rejects. */
  tend(): Promise<void>;
};

export type KeyCareDeps = {
  readonly keys: KeyRing;
  /** Resolves when every gateway that shares its state with this one knows the keys as they are now. */
  readonly spread?: (() => Promise<void>) | undefined;
  readonly intentLog: IntentLog;
  readonly rotateHours: number;
  readonly now: Clock;
  readonly log: Logger;
};

const OWN = 'gateway';
const HOUR_MILLIS = 3_600_000;

export function createKeyCare({ keys, spread, intentLog, rotateHours, now, log }: KeyCareDeps): KeyCare {
  async function record(changes: readonly KeyChange[], by: string): Promise<void> {
    for (const { kid, change } of changes) await intentLog.append({ type: 'key.change', kid, change, by });
  }

  async function recorded(
    change: Result<readonly KeyChange[], KeyRefusal>,
    by: string,
  ): Promise<Result<readonly KeyChange[], KeyRefusal>> {
    if (!change.ok) return err(change.error);
    await record(change.value, by);
    await spread?.();
    return ok(change.value);
  }

  async function rotateIfDue(): Promise<void> {
    const active = keys.list().find(({ state, gateway }) => state === 'active' && gateway === undefined);
    const since = active?.activatedAt ?? active?.createdAt ?? 0;
    if (now() - since >= rotateHours * HOUR_MILLIS) await recorded(await keys.rotate(), OWN);
  }

  return {
    list: () => keys.list(),
    rotate: async (by) => recorded(await keys.rotate(), by),
    remove: async (kid, by) => recorded(await keys.remove(kid), by),
    async tend() {
      try {
        await rotateIfDue();
        const over = await keys.prune();
        await record(over, OWN);
        if (over.length > 0) await spread?.();
      } catch (error) {
        log.error({ err: error }, 'signing keys could not be tended');
      }
    },
  };
}
