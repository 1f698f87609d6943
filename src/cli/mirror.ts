import { userInfo } from 'node:os';
import type { Command } from 'commander';
import { SallyportError } from '../base/index.ts';
import { createLogger } from '../gateway/index.ts';
import { type OriginStatus, openMirrorAdmin } from '../storage/index.ts';
import { addressOf, loadMirrorConfig, openMirror } from './open-mirror.ts';
import { printable } from './printable.ts';
import { signalled } from './signalled.ts';

type Output = { readonly out: (line: string) => void };

/** Runs a mirror until it is told to stop. Exit code 0, or 1 when an alarm stands at the end. */
export async function runMirror({
  config: file,
  out,
}: { readonly config: string } & Output): Promise<number> {
  const config = await loadMirrorConfig(file);
  await using mirror = await openMirror(config, createLogger('info'));
  out(`mirroring ${config.origins.map(({ origin }) => origin).join(', ')}`);
  if (mirror.witness !== undefined) {
    const { url, verifierKey } = mirror.witness;
    out(`cosigning what it holds, on ${url}; for the policy of whoever verifies:`);
    out(`  witness ${verifierKey.split('+')[0]?.replace(/[^A-Za-z0-9.-]/g, '-')} ${verifierKey} ${url}`);
  }
  await signalled();
  return mirror.alarms.size === 0 ? 0 : 1;
}

/**
 * Prints how the mirror of each log stands. Exit code 1 when an alarm stands, 2 when a gateway has shown nothing good
 * for longer than `stale` seconds or never.
 */
export async function mirrorStatus(
  options: { readonly config: string; readonly stale: string } & Output,
): Promise<number> {
  const stale = Number(options.stale);
  if (!Number.isInteger(stale) || stale < 1) {
    throw new SallyportError('ERR_CONFIG_INVALID', '--stale must be a whole number of seconds');
  }
  const config = await loadMirrorConfig(options.config);
  await using admin = openMirrorAdmin(await addressOf(config.postgres));
  const known = new Map((await admin.origins()).map((status) => [status.origin, status]));
  let code = 0;
  for (const { origin } of config.origins) {
    const status = known.get(origin) ?? { origin, size: 0 };
    const isStale = status.age === undefined || status.age > stale;
    options.out(lineOf(status, isStale));
    if (status.alarm !== undefined) code = 1;
    else if (isStale && code === 0) code = 2;
  }
  return code;
}

function lineOf({ origin, size, seenAt, alarm }: OriginStatus, isStale: boolean): string {
  const head = `${printable(origin)}  ${size} records  last good checkpoint seen ${seenAt ?? 'never'}`;
  if (alarm !== undefined)
    return `${head}  ALARM ${alarm.kind} since ${alarm.at}: ${printable(alarm.detail)}`;
  return `${head}  ${isStale ? 'STALE' : 'up to date'}`;
}

/** Lets a stopped log be taken in again. Exit code 0, or 1 when no alarm stands for it. */
export async function releaseMirror(
  origin: string,
  { config: file, reason, out }: { readonly config: string; readonly reason: string } & Output,
): Promise<number> {
  const config = await loadMirrorConfig(file);
  await using admin = openMirrorAdmin(await addressOf(config.postgres));
  const isReleased = await admin.release(origin, userInfo().username, reason);
  out(isReleased ? `released ${printable(origin)}` : `no alarm stands for ${printable(origin)}`);
  return isReleased ? 0 : 1;
}

/** The commands of `sallyport mirror`. */
export function addMirror(mirror: Command, done: (code: number) => void, out: Output['out']): void {
  const config = ['-c, --config <file>', 'configuration file of the mirror'] as const;
  mirror
    .command('run', { isDefault: true })
    .description('take in what gateways log, verified, until it is told to stop')
    .requiredOption(...config)
    .action(async (flags: { config: string }) => done(await runMirror({ ...flags, out })));
  mirror
    .command('status')
    .description('how the mirror of each log stands; exit code 1 when an alarm stands, 2 when one is stale')
    .requiredOption(...config)
    .option('--stale <seconds>', 'a gateway that showed nothing good for longer is stale', '60')
    .action(async (flags: { config: string; stale: string }) => done(await mirrorStatus({ ...flags, out })));
  mirror
    .command('release')
    .description('let a log be taken in again after an alarm; what was seen before must still be in it')
    .argument('<origin>', 'name of the log')
    .requiredOption(...config)
    .requiredOption('--reason <text>', 'why; kept with the alarm')
    .action(async (origin: string, flags: { config: string; reason: string }) =>
      done(await releaseMirror(origin, { ...flags, out })),
    );
}
