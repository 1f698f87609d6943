import { parseArgs } from 'node:util';
import { type TargetName, targetNames, YARDSTICK } from './targets.ts';

/** What the command line asked for. */
export type Flags = {
  readonly rounds: number;
  readonly calls: number;
  readonly callers: number;
  readonly seconds: number;
  readonly targets: readonly TargetName[];
  readonly profile: boolean;
  readonly json?: string;
};

/** The answer to `--help`. */
export const usage = `npm run bench:call -- [flags]
  --rounds N       rounds, the first is dropped (8)
  --calls N        calls a round at many callers; a fifth of it at one caller (4000)
  --callers N      what "many" is (64)
  --seconds N      start no further round after this long (150)
  --targets A,B    of ${targetNames.join(', ')} (all; ${YARDSTICK} is always measured)
  --profile        CPU profile of the gateway; then the default targets are ${YARDSTICK},sallyport
  --json FILE      also write everything that was measured as JSON`;

const options = {
  rounds: { type: 'string', default: '8' },
  calls: { type: 'string', default: '4000' },
  callers: { type: 'string', default: '64' },
  seconds: { type: 'string', default: '150' },
  targets: { type: 'string' },
  profile: { type: 'boolean', default: false },
  json: { type: 'string' },
  help: { type: 'boolean', default: false },
} as const;

/** Reads the command line; undefined when it asks for help. Throws an `Error` that says what to correct. */
export function parseFlags(args: readonly string[]): Flags | undefined {
  const { values } = parseArgs({ args: [...args], options, strict: true });
  if (values.help) return undefined;
  return {
    rounds: wholeNumber('rounds', values.rounds, 2),
    calls: wholeNumber('calls', values.calls, 10),
    callers: wholeNumber('callers', values.callers, 1),
    seconds: wholeNumber('seconds', values.seconds, 1),
    targets: parseTargets(values.targets ?? (values.profile ? 'sallyport' : targetNames.join(','))),
    profile: values.profile,
    ...(values.json !== undefined && { json: values.json }),
  };
}

function wholeNumber(flag: string, text: string, least: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < least)
    throw new Error(`--${flag} must be a whole number, at least ${least}`);
  return value;
}

function parseTargets(text: string): TargetName[] {
  const asked = new Set(text.split(','));
  const known = targetNames.filter((name) => name === YARDSTICK || asked.has(name));
  for (const name of known) asked.delete(name);
  if (asked.size > 0)
    throw new Error(`--targets knows ${targetNames.join(', ')}, not ${[...asked].join(', ')}`);
  return known;
}
