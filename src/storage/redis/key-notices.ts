import type { SharedKeys } from '../../identity/index.ts';
import type { Link } from './link.ts';
import { HEAR_KEYS, SAY_KEYS } from './scripts.ts';

export type KeyNoticesDeps = {
  readonly link: Link;
  /** The keys of this gateway; without them nothing is said and nothing heard. */
  readonly keys: Pick<SharedKeys, 'notice' | 'hear'> | undefined;
  /** Name of this gateway, the same after a restart. */
  readonly name: string;
  /** Resolves when each of these gateways has taken in message `number`, or cannot go on without it. */
  readonly confirmed: (number: number, gateways: readonly string[]) => Promise<void>;
};

/** What gateways on one Redis tell each other about their keys. Redis is not trusted with it: notices prove themselves. */
export type KeyNotices = {
  /** Takes in what was said, if `version` is not what was heard last. */
  follow(version: string): Promise<void>;
  /** Takes in what was said, whatever was heard before. */
  hear(): Promise<void>;
  /** Says what this gateway has; resolves when every gateway that lives knows it. */
  say(): Promise<void>;
  /** The same on data that was just adopted: says it when it is not there. */
  restore(): Promise<void>;
};

/** Keys of a gateway that says nothing for ten minutes are good for nothing. */
const SAY_AGAIN_MS = 60_000;

export function createKeyNotices({ link, keys, name, confirmed }: KeyNoticesDeps): KeyNotices {
  let heard = '';
  let said = '';
  let saidAt = Number.NEGATIVE_INFINITY;
  let isRepeating = false;

  async function hear(): Promise<ReadonlyMap<string, string>> {
    const [pairs, version] = (await link.runEarly(HEAR_KEYS)) as [string[], string];
    const notices = new Map<string, string>();
    for (let i = 0; i + 1 < pairs.length; i += 2) notices.set(pairs[i] ?? '', pairs[i + 1] ?? '');
    await keys?.hear(notices);
    heard = version;
    return notices;
  }

  async function say(): Promise<void> {
    if (keys === undefined) return;
    const notice = keys.notice();
    const reply = await link.runEarly(SAY_KEYS, link.gateway, name, notice);
    const [number, gateways] = reply as [number, string[]];
    said = notice;
    saidAt = performance.now();
    await confirmed(number, gateways);
  }

  /** Within a beat, which waits for nobody: the others hear of it with theirs. */
  function sayAgain(): void {
    if (isRepeating || performance.now() - saidAt < SAY_AGAIN_MS) return;
    isRepeating = true;
    say()
      .catch(() => undefined) // the next beat tries again
      .finally(() => {
        isRepeating = false;
      });
  }

  return {
    say,
    async follow(version) {
      if (keys === undefined) return;
      if (version !== heard) await hear();
      if (said !== '') sayAgain();
    },
    async hear() {
      if (keys !== undefined) await hear();
    },
    async restore() {
      if (keys === undefined) return;
      const notices = await hear();
      if (said === '' || notices.get(name) !== said) await say();
    },
  };
}
