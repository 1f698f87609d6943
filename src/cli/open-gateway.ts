import type { Logger } from 'pino';
import { createIdSource, SallyportError, systemClock } from '../base/index.ts';
import { type Config, createGateway, type Gateway } from '../gateway/index.ts';
import type { RunWatch, SharedKeys } from '../identity/index.ts';
import { type IntentLog, parseWitnessKey } from '../intent-log/index.ts';
import {
  createEmbeddedRuns,
  createEmbeddedSingleUse,
  type EmbeddedLog,
  type LogState,
  openEmbeddedKillSwitches,
  openEmbeddedLog,
  openRedisState,
  openStopFile,
  publishEmbeddedLog,
  type RedisState,
} from '../storage/index.ts';
import { followLog } from '../witness/index.ts';
import { copySettings } from './copy-settings.ts';
import { openCredential } from './open-credential.ts';
import { openKeys } from './open-keys.ts';
import { openSealingKey } from './open-sealing-key.ts';

export type OpenGatewayOptions = {
  readonly log: Logger;
  /** Sees every record that becomes durable; for showing calls as they happen. */
  readonly tap?: (intentLog: IntentLog) => IntentLog;
};

/** A gateway with embedded storage, wired: the one place where ports meet adapters. */
export type OpenGateway = Gateway & {
  /** Resolves with the reason when the log has failed: the process must end, for it can do nothing more. */
  readonly failed: Promise<Error>;
};

const MEGABYTE = 1024 * 1024;
const CHECKPOINT_MILLIS = 1_000;
/** A proof's `iat` may be a minute ahead of our clock and is accepted for a minute after. */
const PROOF_LIFE_SECONDS = 125;

/** Opens the data folder, recovers what a crash left open, and starts the gateway on it. */
export async function openGateway(config: Config, { log, tap }: OpenGatewayOptions): Promise<OpenGateway> {
  const now = systemClock;
  const sealingKey = await openSealingKey(config);
  await using opening = new AsyncDisposableStack();
  const embedded = opening.use(
    await openEmbeddedLog({
      folder: config.data,
      origin: originOf(config),
      now,
      sealingKey,
      queueLimit: config.limits.queuedRecords,
      checkpointEveryMs: CHECKPOINT_MILLIS,
      slowAppendMs: config.log.slowAppendMillis,
      room: {
        reserveBytes: config.log.reserveMegabytes * MEGABYTE,
        minFreeBytes: config.log.minFreeMegabytes * MEGABYTE,
      },
      copy: copySettings(config.log, process.env),
      content: config.content,
    }),
  );
  if (embedded.aligned !== undefined) log.info(embedded.aligned, 'both copies of the log are the same');
  if (embedded.recovered.length > 0) {
    log.warn(
      { calls: embedded.recovered },
      'calls that were open when the gateway died have an unknown outcome',
    );
  }
  const state = await embedded.state();
  const { keys, sealer, shared } = await openKeys(config, { sealingKey, log });
  const stores =
    config.state.kind === 'embedded'
      ? await openEmbeddedState(config, embedded, state)
      : opening.use(await openSharedState(config.data, config.state, { embedded, state, keys: shared, log }));
  const gateway = opening.use(
    await createGateway(config, {
      ...stores,
      publishedLog: opening.use(publishEmbeddedLog(config.data)),
      logOrigin: originOf(config),
      rotateLogKey: (by, reason, overlapSeconds) => embedded.rotateKey(by, reason, overlapSeconds),
      logHealth: () => embedded.health(),
      intentLog: tap === undefined ? embedded : tap(embedded),
      erase: (runs, by, reason) => embedded.erase(runs, by, reason),
      prune: (before, by, reason) => embedded.prune(before, by, reason),
      keys,
      keysAreSettled: () => shared?.isSettled() ?? true,
      sealer,
      openCredential: (entry, deps) => openCredential(entry, { ...deps, environment: process.env, fetch }),
      ids: createIdSource(now),
      now,
      log,
      production: process.env['NODE_ENV'] === 'production',
    }),
  );
  opening.use(followWitnesses(config, embedded, log));
  const open = opening.move();
  return {
    publicUrl: gateway.publicUrl,
    adminUrl: gateway.adminUrl,
    issueJoinToken: gateway.issueJoinToken,
    failed: embedded.failed,
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
}

const WITNESS_TIMEOUT_MILLIS = 10_000;

/** Throws `ERR_CONFIG_INVALID` for a key that is not a witness's. */
function followWitnesses({ log: { witnesses, submitSeconds } }: Config, embedded: EmbeddedLog, log: Logger) {
  return followLog(embedded, {
    witnesses: witnesses.map(({ key: text, url }, i) => {
      const key = parseWitnessKey(text);
      if (key !== undefined) return { name: key.name, key, url };
      throw new SallyportError(
        'ERR_CONFIG_INVALID',
        `log.witnesses.${i}.key: must be the public key of a witness, "<name>+<id>+<key>"`,
      );
    }),
    everyMs: submitSeconds * 1000,
    fetch: globalThis.fetch,
    timeoutMs: WITNESS_TIMEOUT_MILLIS,
    complain: ({ name }, submission) =>
      log.error({ witness: name, ...submission }, COMPLAINTS[submission.kind]),
  });
}

const COMPLAINTS = {
  failed: 'a witness did not cosign the log',
  rolled_back: 'a witness has seen more of this log than there is: records are gone, do not trust this log',
} as const;

/** Each gateway has a log of its own, and its name says whose it is. */
export function originOf({ trustDomain, state, log: { generation } }: Config): string {
  const origin = state.kind === 'embedded' ? `${trustDomain}/log` : `${trustDomain}/log/${state.gateway}`;
  return generation === 1 ? origin : `${origin}~${generation}`;
}

/** The state of several gateways. What this one's log knows helps when the shared state was wiped. */
function openSharedState(
  data: string,
  config: Extract<Config['state'], { kind: 'redis' }>,
  {
    embedded,
    state,
    keys,
    log,
  }: { embedded: EmbeddedLog; state: LogState; keys: SharedKeys | undefined; log: Logger },
): Promise<RedisState> {
  return openRedisState({
    ...config,
    password: process.env['SALLYPORT_REDIS_PASSWORD'],
    timeoutMs: config.timeoutMillis,
    now: systemClock,
    log,
    shelf: openStopFile(data),
    keys,
    runs: state.runs.map(({ run }) => run),
    keyWasUsed: (agent, key) => embedded.keyWasUsed(agent, key),
  });
}

/** The state of a single process, as the log says it was. */
async function openEmbeddedState({ data }: Config, embedded: EmbeddedLog, state: LogState) {
  const now = systemClock;
  const { thrown, ...switches } = await openEmbeddedKillSwitches(openStopFile(data));
  return {
    ...createEmbeddedRuns({
      now,
      runs: state.runs.map(({ run, state, toolCalls }) => ({ run, state, spentCalls: toolCalls })),
      past: state.runs.filter(({ state }) => state === 'live'),
      proofs: state.proofs.map(({ proof, at }) => ({
        proofId: proof,
        expiresAt: Math.ceil(at / 1000) + PROOF_LIFE_SECONDS,
      })),
      keyWasUsed: (agent, key) => embedded.keyWasUsed(agent, key),
      stops: thrown,
    }),
    switches,
    watch: {
      start(watcher) {
        for (const stop of thrown()) watcher.stopped(stop);
      },
      isCurrent: () => true, // nobody else ends anything
    } satisfies RunWatch,
    singleUse: createEmbeddedSingleUse({
      now,
      runs: state.runs.map(({ run }) => run),
      assertions: state.assertions,
    }),
  };
}
