// CPU time and latency of one tools/call through the gateway, beside proxies that do less, in one interleaved run.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Flags, parseFlags, usage } from './flags.ts';
import { LoadGenerator } from './load-generator.ts';
import { describeMachine, type Machine } from './machine.ts';
import { measureRound, type TargetRound, type Volume } from './measure.ts';
import { profileFlags, profileText, readSelfTimes } from './profile.ts';
import { machineText, progressText, type Round, summarise, tableText } from './report.ts';
import { startTarget, startUpstream, type Target, type TargetName, YARDSTICK } from './targets.ts';

const print = (text: string) => process.stdout.write(`${text}\n`);
const interrupted = new AbortController();
process.once('SIGINT', () => interrupted.abort(new Error('interrupted')));

async function main(): Promise<void> {
  const flags = parseFlags(process.argv.slice(2));
  if (flags === undefined) return void print(usage);
  const machine = describeMachine();
  print(machineText(machine));
  const profileFolder = flags.profile ? mkdtempSync(join(tmpdir(), 'sallyport-profile-')) : undefined;
  try {
    const rounds = await measureAll(flags, profileFolder);
    report(rounds, flags, machine);
    if (profileFolder !== undefined) printProfile(profileFolder, rounds.slice(1));
  } finally {
    if (profileFolder !== undefined) rmSync(profileFolder, { recursive: true });
  }
}

function report(rounds: readonly Round[], flags: Flags, machine: Machine): void {
  const counted = rounds.slice(1);
  const rows = summarise(flags.targets, counted);
  print(`\n${tableText(rows, flags.callers)}`);
  print(
    `\nmedians of ${counted.length} rounds, times in ms; ratio = CPU over ${YARDSTICK} in the same round`,
  );
  if (flags.json === undefined) return;
  const raw = rounds.map((round) => Object.fromEntries(round));
  writeFileSync(flags.json, `${JSON.stringify({ machine, flags, rows, rounds: raw }, null, 2)}\n`);
}

async function measureAll(flags: Flags, profileFolder: string | undefined): Promise<Round[]> {
  await using stack = new AsyncDisposableStack();
  const load = stack.use(new LoadGenerator());
  const upstream = stack.use(await startUpstream());
  const targets: Target[] = [];
  for (const name of flags.targets) {
    const nodeFlags = isProfiled(name) && profileFolder !== undefined ? profileFlags(profileFolder) : [];
    targets.push(stack.use(await startTarget(name, upstream, nodeFlags)));
  }
  return await measureRounds(targets, flags, load);
}

/** The yardstick runs without a profiler, or the ratio would mean nothing. */
const isProfiled = (name: TargetName) => name !== YARDSTICK && name !== 'direct';

async function measureRounds(
  targets: readonly Target[],
  flags: Flags,
  load: LoadGenerator,
): Promise<Round[]> {
  const { callers, calls } = flags;
  const volume: Volume = { callers, calls, callsAlone: Math.ceil(calls / 5) };
  const deadline = performance.now() + flags.seconds * 1000;
  const rounds: Round[] = [];
  // The first round is dropped, so two are the least that say anything.
  while (rounds.length < 2 || (rounds.length < flags.rounds && performance.now() < deadline)) {
    const round = new Map<TargetName, TargetRound>();
    for (const target of inTurn(targets, rounds.length)) {
      interrupted.signal.throwIfAborted();
      const result = await measureRound(target, volume, load);
      round.set(target.name, result);
      print(progressText(rounds.length + 1, flags.rounds, target.name, result.many));
    }
    rounds.push(round);
  }
  return rounds;
}

/** Each round begins with another target, so that none always follows the same neighbour's mess. */
function inTurn(targets: readonly Target[], round: number): Target[] {
  const first = round % targets.length;
  return [...targets.slice(first), ...targets.slice(0, first)];
}

function printProfile(folder: string, rounds: readonly Round[]): void {
  const samples = rounds.flatMap((round) =>
    [...round].filter(([name]) => isProfiled(name)).map(([, result]) => result.many),
  );
  const times = readSelfTimes(
    folder,
    samples.map((sample) => sample.window),
  );
  const calls = samples.reduce((sum, sample) => sum + sample.calls, 0);
  print(`\n${profileText(times, calls)}`);
}

main().catch((error: unknown) => {
  process.stderr.write(`bench:call failed: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
