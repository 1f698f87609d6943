import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import type { AgentName, Clock } from '../../base/index.ts';
import type { RunHistory } from '../../cedar/index.ts';
import type {
  KeyThumbprint,
  KillSwitches,
  Run,
  RunStore,
  RunWatch,
  SharedKeys,
  SingleUse,
} from '../../identity/index.ts';
import { stopKey } from '../../identity/index.ts';
import { createEntrances } from './entrances.ts';
import { createKeyNotices } from './key-notices.ts';
import { createRedisKillSwitches } from './kill-switches.ts';
import { createLink } from './link.ts';
import { createRedisRunHistory } from './run-history.ts';
import { createRedisRunStore } from './run-store.ts';
import { createRedisSingleUse } from './single-use.ts';
import { openKnownStops, type StopShelf, stopDetail } from './stop-memory.ts';
import { createKnownRuns } from './stored-run.ts';
import { createRedisWatch } from './watch.ts';

export type RedisStateOptions = {
  /** `redis://` or `rediss://`, without a password. */
  readonly url: string;
  readonly password?: string | undefined;
  /** First part of every key: gateways that share it share their state. */
  readonly prefix: string;
  /** Name of this gateway among those that share the state. */
  readonly gateway: string;
  /** How many replicas must have a revocation before it is acknowledged. */
  readonly replicas: number;
  readonly timeoutMs: number;
  readonly now: Clock;
  readonly log: Pick<Logger, 'info' | 'warn'>;
  /** Where this gateway keeps the kill switches it knows of. */
  readonly shelf: StopShelf;
  /** The signing keys, where gateways tell each other theirs. */
  readonly keys?: SharedKeys | undefined;
  /** Runs that the log of this gateway knows of. */
  readonly runs: Iterable<Run>;
  /** Has an agent ever used a key for a run, as far as the log of this gateway knows? */
  readonly keyWasUsed: (agent: AgentName, key: KeyThumbprint) => Promise<boolean>;
};

/** Every port onto hot state, on one Redis that other gateways share. */
export type RedisState = AsyncDisposable & {
  readonly runs: RunStore;
  readonly history: RunHistory;
  readonly singleUse: SingleUse;
  readonly switches: KillSwitches;
  readonly watch: RunWatch;
  /** Resolves when every gateway that lives knows the keys of this one as they are now. */
  readonly spreadKeys: () => Promise<void>;
};

/** Resolves also when the server cannot be reached: every operation is refused until it can. */
export async function openRedisState(options: RedisStateOptions): Promise<RedisState> {
  const { now, log, replicas } = options;
  const gateway = `${options.gateway}-${randomBytes(6).toString('hex')}`;
  const stopMemory = await openKnownStops(options.shelf, log);
  const link = createLink({ ...options, gateway });
  const known = createKnownRuns();
  const { keys, gateway: name } = options;
  const notices = createKeyNotices({
    link,
    keys,
    name,
    confirmed: (...message) => watch.confirmed(...message),
  });
  const watch = createRedisWatch({ link, known: stopMemory, notices, now, log });
  const entrances = createEntrances(link);
  const singleUse = createRedisSingleUse({ link, now, runs: options.runs });
  link.restoreWith(
    () => stopMemory.list().flatMap((stop) => [stopKey(stop), stopDetail(stop)]),
    async (isNew) => {
      if (isNew) await singleUse.restore();
      await entrances.deliver();
      await notices.restore();
      await watch.beat();
    },
  );
  await link.connect();
  const { keyWasUsed } = options;
  return {
    runs: createRedisRunStore({ link, watch, entrances, known, now, replicas, keyWasUsed }),
    history: createRedisRunHistory({ link, entrances, now }),
    singleUse,
    switches: createRedisKillSwitches({ link, watch, known: stopMemory, replicas }),
    watch,
    spreadKeys: () => notices.say(),
    async [Symbol.asyncDispose]() {
      await watch[Symbol.asyncDispose]();
      await link[Symbol.asyncDispose]();
    },
  };
}
