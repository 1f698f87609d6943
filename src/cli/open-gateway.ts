import type { Logger } from 'pino';
import { createIdSource, systemClock } from '../base/index.ts';
import { type Config, createGateway, type Gateway } from '../gateway/index.ts';
import { openSigningKeys } from '../identity/index.ts';
import type { IntentLog } from '../intent-log/index.ts';
import {
  createEmbeddedRunHistory,
  createEmbeddedRunStore,
  createEmbeddedSingleUse,
  type EmbeddedLog,
  type LogState,
  openEmbeddedLog,
} from '../storage/index.ts';

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

const CHECKPOINT_MILLIS = 1_000;
/** A proof's `iat` may be a minute ahead of our clock and is accepted for a minute after. */
const PROOF_LIFE_SECONDS = 125;

/** Opens the data folder, recovers what a crash left open, and starts the gateway on it. */
export async function openGateway(config: Config, { log, tap }: OpenGatewayOptions): Promise<OpenGateway> {
  const now = systemClock;
  await using opening = new AsyncDisposableStack();
  const embedded = opening.use(
    await openEmbeddedLog({
      folder: config.data,
      origin: `${config.trustDomain}/log`,
      now,
      queueLimit: config.limits.queuedRecords,
      checkpointEveryMs: CHECKPOINT_MILLIS,
    }),
  );
  if (embedded.recovered.length > 0) {
    log.warn(
      { calls: embedded.recovered },
      'calls that were open when the gateway died have an unknown outcome',
    );
  }
  const stores = openStores(embedded, await embedded.state());
  const gateway = opening.use(
    await createGateway(config, {
      ...stores,
      intentLog: tap === undefined ? embedded : tap(embedded),
      keys: await openSigningKeys({ folder: config.data, now }),
      ids: createIdSource(now),
      now,
      log,
      production: process.env['NODE_ENV'] === 'production',
    }),
  );
  const open = opening.move();
  return {
    publicUrl: gateway.publicUrl,
    adminUrl: gateway.adminUrl,
    issueJoinToken: gateway.issueJoinToken,
    failed: embedded.failed,
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
}

/** The stores of a single process, as the log says they were. */
function openStores(embedded: EmbeddedLog, state: LogState) {
  const now = systemClock;
  return {
    runs: createEmbeddedRunStore({
      now,
      runs: state.runs.map(({ run, state, toolCalls }) => ({ run, state, spentCalls: toolCalls })),
      proofs: state.proofs.map(({ proof, at }) => ({
        proofId: proof,
        expiresAt: Math.ceil(at / 1000) + PROOF_LIFE_SECONDS,
      })),
      keyWasUsed: (agent, key) => embedded.keyWasUsed(agent, key),
    }),
    history: createEmbeddedRunHistory(state.runs.filter(({ state }) => state === 'live')),
    singleUse: createEmbeddedSingleUse({
      now,
      runs: state.runs.map(({ run }) => run),
      assertions: state.assertions,
    }),
  };
}
