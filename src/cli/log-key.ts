import { readFileSync } from 'node:fs';
import { SallyportError } from '../base/index.ts';
import { LogKeyChanged } from '../gateway/index.ts';
import { parseCheckpoint, parseNote } from '../intent-log/index.ts';
import { atGatewayOrOffline, OFFLINE_OPERATOR, openLogOffline } from './at-gateway.ts';
import { loadConfig } from './load-config.ts';
import { originOf } from './open-gateway.ts';
import { printable } from './printable.ts';

export type RotateLogKeyFlags = {
  readonly config: string;
  readonly reason: string;
  /** Hours for which the old key signs beside the new one. */
  readonly overlap: string;
};

export type NewLogFlags = {
  readonly config: string;
  readonly reason: string;
  /** File with the newest checkpoint of the log before that is to be believed. */
  readonly previous: string;
};

type Output = { readonly out: (line: string) => void };

const MOST_HOURS = 720;

/**
 * Lets a new key sign the log: through the gateway when it runs, else in its data folder. Resolves once the change is
 * in the log and signed for. Exit code 0.
 */
export async function logRotateKey({
  config: file,
  reason,
  overlap,
  out,
}: RotateLogKeyFlags & Output): Promise<number> {
  const overlapHours = /^\d{1,3}(?:\.\d+)?$/.test(overlap) ? Number(overlap) : Number.NaN;
  if (!(overlapHours <= MOST_HOURS)) {
    throw new SallyportError('ERR_CONFIG_INVALID', `--overlap must be hours from 0 to ${MOST_HOURS}`);
  }
  const config = await loadConfig(file);
  const request = { path: '/v1/log/rotate-key', body: { reason, overlapHours } };
  const changed = LogKeyChanged.parse(
    await atGatewayOrOffline(file, config, request, async () => {
      await using log = await openLogOffline(config);
      return await log.rotateKey(OFFLINE_OPERATOR, reason, Math.round(overlapHours * 3600));
    }),
  );
  out(`record ${changed.idx} changes the key of the log`);
  out(`  from ${changed.from}`);
  out(`  to   ${changed.to}`);
  out(`the old key signs beside it for ${overlapHours} hours; who has only that one can verify all the same`);
  return 0;
}

/**
 * Begins the log that takes the place of one whose key is lost or in foreign hands: its first record quotes the newest
 * checkpoint of that log that is to be believed. Exit code 0.
 */
export async function logBegin({
  config: file,
  reason,
  previous,
  out,
}: NewLogFlags & Output): Promise<number> {
  const config = await loadConfig(file);
  const checkpoint = readText(previous);
  const note = parseNote(checkpoint);
  const head = note && parseCheckpoint(note.text);
  if (head === undefined)
    throw invalid(`${previous}: must be a signed checkpoint, such as a witness publishes`);
  const origin = originOf(config);
  if (head.origin === origin)
    throw invalid(`${file}: raise log.generation, so that the new log has another name than ${origin}`);
  await using log = await openLogOffline(config);
  const { size } = (await log.growth(0)) ?? { size: 0 };
  if (size > 0) throw invalid(`${config.data} holds a log already; set "data" to a new folder`);
  const { origin: before } = head;
  await log.append({
    type: 'log.open',
    origin,
    previous: { origin: before, checkpoint },
    by: OFFLINE_OPERATOR,
    reason,
  });
  out(`${printable(origin)} takes the place of ${printable(before)}, from size ${head.size}`);
  out(`its public key: ${log.verifierKey}`);
  return 0;
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new SallyportError('ERR_DATA_FOLDER', `${path} cannot be read (${code}); name a checkpoint file`, {
      cause: error,
    });
  }
}

function invalid(problem: string): SallyportError {
  return new SallyportError('ERR_CONFIG_INVALID', problem);
}
