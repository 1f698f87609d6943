import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { type Clock, isJsonObject, parseRunId, type RunId } from '../../base/index.ts';
import { parseStopKey, type RunWatch, type Stop, stopKey, type Watcher } from '../../identity/index.ts';
import type { KeyNotices } from './key-notices.ts';
import type { Link } from './link.ts';
import { BEAT } from './scripts.ts';
import { type KnownStops, parseStop } from './stop-memory.ts';

/**
 * How long a gateway that hears nothing of the store may go on with what it has under way. Others wait for it that
 * long when they end something.
 */
export const LEASE_MS = 2_000;
const BEAT_MS = 500;
const CHECK_MS = 100;
const RUNS_PER_BEAT = 2_000;
const REMEMBERED = 1_000;

export type RedisWatch = RunWatch &
  AsyncDisposable & {
    /** Renews the lease and compares what is under way with the store. */
    beat(): Promise<void>;
    /** Resolves when each of these gateways has cut what message `number` named, or cannot go on with it. */
    confirmed(number: number, gateways: readonly string[]): Promise<void>;
  };

export type WatchDeps = {
  readonly link: Link;
  readonly known: KnownStops;
  readonly notices: Pick<KeyNotices, 'follow' | 'hear'>;
  readonly now: Clock;
  readonly log: Pick<Logger, 'warn'>;
};

const NOBODY: Watcher = {
  ended: () => undefined,
  stopped: () => undefined,
  lifted: () => undefined,
  lost: () => undefined,
  underWay: () => [],
};

export function createRedisWatch(deps: WatchDeps): RedisWatch {
  const { link, now, log } = deps;
  const acks = createAcks();
  let watcher = NOBODY;
  let leaseUntil = 0;
  let isLost = false;
  const subscriber = listen(link, {
    told: (message) => {
      const from = hear(message, watcher, deps);
      if (from === undefined || from.gateway === link.gateway) return;
      const taken = from.kind === 'keys' ? deps.notices.hear() : Promise.resolve();
      taken
        .then(() => link.publish(`${link.prefix}acks:${from.gateway}`, `${from.number} ${link.gateway}`))
        .catch(() => undefined); // who waits for it waits for the lease to run out
    },
    ack: acks.add,
  });

  async function beat(): Promise<void> {
    const sentAt = performance.now(); // the store counts from later on
    const runs = [...watcher.underWay()];
    for (let at = 0; at === 0 || at < runs.length; at += RUNS_PER_BEAT) {
      const some = runs.slice(at, at + RUNS_PER_BEAT);
      const reply = await link.runEarly(BEAT, now() / 1000, link.gateway, LEASE_MS, ...some);
      const [over, stops, notices] = reply as [string[], string[], string];
      if (over.length > 0) watcher.ended(over.flatMap((id) => parseRunId(id) ?? []));
      deps.known.compare(parseStops(stops), watcher);
      await deps.notices.follow(notices);
    }
    leaseUntil = sentAt + LEASE_MS;
    isLost = false;
  }

  function check(): void {
    if (isLost || performance.now() < leaseUntil) return;
    isLost = true;
    log.warn({ milliseconds: LEASE_MS }, 'out of touch with the shared state: everything under way is cut');
    watcher.lost();
  }

  let beating = false;
  const heart = setInterval(() => {
    if (beating) return;
    beating = true;
    beat()
      .catch(() => undefined) // the lease runs out by itself
      .finally(() => {
        beating = false;
      });
  }, BEAT_MS);
  const lookout = setInterval(check, CHECK_MS);
  return {
    start(given) {
      watcher = given;
      for (const stop of deps.known.list()) watcher.stopped(stop);
    },
    isCurrent: () => performance.now() < leaseUntil,
    beat,
    confirmed(number, gateways) {
      const others = gateways.filter((gateway) => gateway !== link.gateway);
      return acks.wait(number, others, LEASE_MS + link.timeoutMs);
    },
    async [Symbol.asyncDispose]() {
      clearInterval(heart);
      clearInterval(lookout);
      subscriber.disconnect();
    },
  };
}

/** Takes in one message of another gateway, cuts what it names, and says whom to confirm it to. */
function hear(text: string, watcher: Watcher, { known, log }: WatchDeps): Message | undefined {
  const message = parseMessage(text);
  if (message === undefined) {
    log.warn('a message on the shared state makes no sense');
    return undefined;
  }
  switch (message.kind) {
    case 'ended':
      watcher.ended(message.runs);
      break;
    case 'stopped':
      known.add(message.stop);
      watcher.stopped(message.stop);
      break;
    case 'lifted':
      known.remove(message.target);
      watcher.lifted(message.target);
      break;
    case 'keys':
      break; // fetched by whoever confirms it
  }
  return message;
}

type Message = { readonly gateway: string; readonly number: number } & (
  | { readonly kind: 'ended'; readonly runs: readonly RunId[] }
  | { readonly kind: 'stopped'; readonly stop: Stop }
  | { readonly kind: 'lifted'; readonly target: NonNullable<ReturnType<typeof parseStopKey>> }
  | { readonly kind: 'keys' }
);

function parseMessage(text: string): Message | undefined {
  const value = parseJson(text);
  if (!isJsonObject(value)) return undefined;
  const { kind, from: gateway, number, runs, target, detail } = value;
  if (typeof gateway !== 'string' || typeof number !== 'number') return undefined;
  if (kind === 'keys') return { kind, gateway, number };
  if (kind === 'ended' && Array.isArray(runs)) {
    return { kind, gateway, number, runs: runs.flatMap((id) => parseRunId(id) ?? []) };
  }
  if (kind === 'stopped' && typeof target === 'string') {
    const stop = parseStop(target, String(detail));
    return stop === undefined ? undefined : { kind, gateway, number, stop };
  }
  const lifted = kind === 'lifted' && typeof target === 'string' ? parseStopKey(target) : undefined;
  return lifted === undefined ? undefined : { kind: 'lifted', gateway, number, target: lifted };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function parseStops(pairs: readonly string[]): ReadonlyMap<string, Stop> {
  const stops = new Map<string, Stop>();
  for (let i = 0; i + 1 < pairs.length; i += 2) {
    const stop = parseStop(pairs[i] ?? '', pairs[i + 1] ?? '');
    if (stop !== undefined) stops.set(stopKey(stop), stop);
  }
  return stops;
}

type Ears = { readonly told: (message: string) => void; readonly ack: (message: string) => void };

/** Subscribes anew after every loss of the connection; what was missed meanwhile the next beat finds. */
function listen(link: Link, ears: Ears): Redis {
  const subscriber = link.duplicate();
  const told = `${link.prefix}told`;
  const acks = `${link.prefix}acks:${link.gateway}`;
  subscriber.on('error', () => undefined);
  subscriber.on('ready', () => {
    subscriber.subscribe(told, acks).catch(() => subscriber.disconnect(true));
  });
  subscriber.on('message', (channel: string, message: string) => {
    if (channel === told) ears.told(message);
    else if (channel === acks) ears.ack(message);
  });
  subscriber.connect().catch(() => undefined); // it goes on trying
  return subscriber;
}

type Acks = {
  add(message: string): void;
  wait(number: number, gateways: readonly string[], milliseconds: number): Promise<void>;
};

/** Confirmations by message number; they may come before anybody waits for them. */
function createAcks(): Acks {
  const heard = new Map<number, Set<string>>();
  const waiting = new Map<number, () => void>();

  function of(number: number): Set<string> {
    const gateways = heard.get(number) ?? new Set();
    heard.set(number, gateways);
    if (heard.size > REMEMBERED) heard.delete(heard.keys().next().value ?? number);
    return gateways;
  }

  return {
    add(message) {
      const [number, gateway = ''] = message.split(' ');
      of(Number(number)).add(gateway);
      waiting.get(Number(number))?.();
    },
    wait(number, gateways, milliseconds) {
      const confirmed = of(number);
      const isDone = (): boolean => gateways.every((gateway) => confirmed.has(gateway));
      if (isDone()) return Promise.resolve();
      return new Promise((done) => {
        const finish = (): void => {
          clearTimeout(late);
          waiting.delete(number);
          done();
        };
        const late = setTimeout(finish, milliseconds);
        waiting.set(number, () => {
          if (isDone()) finish();
        });
      });
    },
  };
}
