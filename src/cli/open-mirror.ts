import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { JWK } from 'jose';
import type { Logger } from 'pino';
import { SallyportError, systemClock } from '../base/index.ts';
import { readSecret, type SecretPlace } from '../credentials/index.ts';
import { signOperatorToken } from '../gateway/index.ts';
import {
  type Cosigner,
  createCosigner,
  type MirrorStore,
  parseVerifierKey,
  type VerifierKey,
} from '../intent-log/index.ts';
import {
  cosignHeld,
  createIntake,
  type DatabaseConfig,
  type FollowedOrigins,
  followOrigins,
  isLocalHost,
  type MirrorConfig,
  type OriginConfig,
  openRemoteLog,
  parseMirrorConfig,
} from '../mirror/index.ts';
import { type DatabaseAddress, openMirrorStore } from '../storage/index.ts';
import { openWitnessState, type RunningWitness, serveWitness, type WitnessState } from '../witness/index.ts';

/** A mirror that takes logs in until it is disposed of. */
export type OpenMirror = FollowedOrigins & {
  /** What gateways and policies are told of it, where it cosigns. */
  readonly witness?: { readonly url: string; readonly verifierKey: string };
};

/** Reads a mirror's configuration; files in it are relative to it. Throws `ERR_CONFIG_INVALID`. */
export async function loadMirrorConfig(file: string): Promise<MirrorConfig> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new SallyportError('ERR_CONFIG_INVALID', `cannot read ${file} (${error.code})`, { cause: error });
  });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new SallyportError('ERR_CONFIG_INVALID', `${file} is not JSON`, { cause: error });
  }
  return resolveFiles(parseMirrorConfig(value, file), dirname(resolve(file)));
}

function resolveFiles(config: MirrorConfig, base: string): MirrorConfig {
  const at = (file: string): string => resolve(base, file);
  const place = (secret: SecretPlace): SecretPlace => ('file' in secret ? { file: at(secret.file) } : secret);
  const { postgres, witness, origins } = config;
  const { password, ca } = postgres;
  return {
    ...config,
    origins: origins.map((origin) => ({
      ...origin,
      access:
        origin.access.kind === 'bearer'
          ? { ...origin.access, token: place(origin.access.token) }
          : { ...origin.access, file: at(origin.access.file) },
    })),
    postgres: {
      ...postgres,
      ...(password === undefined ? {} : { password: place(password) }),
      ...(ca === undefined ? {} : { ca: at(ca) }),
    },
    ...(witness === undefined ? {} : { witness: { ...witness, state: at(witness.state) } }),
  };
}

/** Where the database of a mirror is, with the password that the configuration only names. */
export async function addressOf({ url, password, ca, schema }: DatabaseConfig): Promise<DatabaseAddress> {
  const { hostname, port, pathname, username } = new URL(url);
  const authorities = ca === undefined ? {} : { ca: await readFile(ca, 'utf8') };
  return {
    host: hostname.replace(/^\[(.*)\]$/, '$1'),
    port: port === '' ? 5432 : Number(port),
    database: decodeURIComponent(pathname.slice(1)),
    user: decodeURIComponent(username),
    ...(password === undefined ? {} : { password: await readSecret(password, process.env) }),
    tls: isLocalHost(hostname) && ca === undefined ? false : authorities,
    schema,
  };
}

/** Starts a mirror: the one place where its ports meet adapters. */
export async function openMirror(config: MirrorConfig, log: Logger): Promise<OpenMirror> {
  await using opening = new AsyncDisposableStack();
  const store = opening.use(openMirrorStore(await addressOf(config.postgres)));
  const witness = config.witness === undefined ? undefined : openWitness(config.witness);
  const keys = new Map(config.origins.map((origin) => [origin.origin, keysOf(origin)]));
  const intakes = config.origins.map((origin) =>
    intakeOf(origin, config, { store, keys: keys.get(origin.origin) ?? [], state: witness?.state }),
  );
  let served: RunningWitness | undefined;
  if (witness !== undefined) {
    const deps = { ...witness, logs: [...keys.values()].flat(), now: systemClock };
    const cosign = (body: string) => cosignHeld(body, intakes, deps);
    served = opening.use(await serveWitness({ cosign, state: witness.state, ...witness.listen }));
  }
  const followed = opening.use(
    followOrigins(intakes, { pollMs: config.pollMillis, random: Math.random, tell: tellerOf(log) }),
  );
  const open = opening.move();
  return {
    alarms: followed.alarms,
    ...(served === undefined || witness === undefined
      ? {}
      : { witness: { url: served.url, verifierKey: witness.cosigner.verifierKey } }),
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
}

type OpenWitness = {
  readonly state: WitnessState;
  readonly cosigner: Cosigner;
  readonly listen: { readonly host: string; readonly port: number };
};

function openWitness({ name, state: folder, listen }: NonNullable<MirrorConfig['witness']>): OpenWitness {
  const state = openWitnessState(folder);
  return { state, cosigner: createCosigner(name, state.key), listen };
}

function intakeOf(
  { origin, url, access }: OriginConfig,
  { timeoutMillis }: MirrorConfig,
  deps: {
    readonly store: MirrorStore;
    readonly keys: readonly VerifierKey[];
    readonly state: WitnessState | undefined;
  },
) {
  const remote = openRemoteLog(url, {
    fetch: globalThis.fetch,
    authorize: authorizer(url, access),
    timeoutMs: timeoutMillis,
  });
  const { store, keys, state } = deps;
  return createIntake({ origin, keys, remote, store, remembered: () => state?.newest(origin) });
}

function authorizer(url: string, access: OriginConfig['access']): () => Promise<string> {
  if (access.kind === 'bearer') return async () => `Bearer ${await readSecret(access.token, process.env)}`;
  const audience = url.replace(/\/+$/, '');
  return async () => {
    const key = JSON.parse(await readSecret({ file: access.file }, process.env)) as JWK;
    return `Bearer ${await signOperatorToken(key, audience, systemClock)}`;
  };
}

/** The configuration was checked: each of these is a key. */
function keysOf({ keys }: OriginConfig): VerifierKey[] {
  return keys.flatMap((text) => parseVerifierKey(text) ?? []);
}

function tellerOf(log: Logger): Parameters<typeof followOrigins>[1]['tell'] {
  return {
    current: (origin, size) => log.info({ origin, size }, 'the mirror of a log is up to date'),
    failed: (origin, detail, retryMs) =>
      log.warn(
        { origin, detail, retryMs: Math.round(retryMs) },
        'a log cannot be mirrored at this moment; trying again until it can',
      ),
    alarmed: (origin, { kind, detail, note }) =>
      log.error(
        { origin, alarm: kind, detail, note },
        'a log is not what it was or says it is: nothing of it is taken in until somebody releases it',
      ),
  };
}
