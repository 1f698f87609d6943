import { parseRunId, type RunId, SallyportError } from '../base/index.ts';
import {
  createReplays,
  diffRuns,
  type OnStep,
  type RecordedCall,
  type RecordedRun,
  type Replay,
  readRecording,
  serveReplay,
  serveReplayStdio,
} from '../evidence/index.ts';
import { openContentReader, openLogReader } from '../storage/index.ts';
import { printable } from './printable.ts';

export type ReplayFlags = {
  readonly data: string;
  readonly port: string;
  /** Serve this upstream over stdio instead of all over HTTP. */
  readonly stdio?: string;
};

export type ReplayCommand = ReplayFlags & {
  readonly complain: (line: string) => void;
  /** Resolves when the user wants it to end. */
  readonly stop: Promise<unknown>;
};

/**
 * Serves the recorded answers of a run and those it delegated to, until it is told to stop. Exit code 0 when the
 * agent did what it had done, to the end; 1 when it departed; 2 when the record could not answer.
 */
export async function replayRun(
  run: string,
  { data, port, stdio, complain, stop }: ReplayCommand,
): Promise<number> {
  const runs = recordingOf(run, data);
  const root = runs[0];
  if (root === undefined) {
    complain(`no run ${printable(run)} in the log; "sallyport log list" shows those that are`);
    return 1;
  }
  const onStep: OnStep = (of, { upstream, method, tool }, step) => {
    const what = printable(tool === undefined ? `${upstream} ${method}` : `${upstream}/${tool}`);
    if (step.kind === 'served') complain(`served ${what}, call ${step.call.number} of run ${of}`);
    else complain(`${step.kind.toUpperCase()} at call ${step.at} of run ${of}: ${printable(step.why)}`);
  };
  let replays: ReadonlyMap<RunId, Replay>;
  if (stdio === undefined) {
    const portNumber = Number(port);
    if (!Number.isInteger(portNumber) || portNumber < 0 || portNumber > 65_535)
      throw new SallyportError('ERR_CONFIG_INVALID', '--port must be a port number, or 0 for any');
    await using server = await serveReplay(runs, portNumber, onStep);
    complain(`replaying ${runs.length} runs at ${server.url}/mcp/<upstream>; nothing leaves this process`);
    await stop;
    ({ replays } = server);
  } else {
    replays = createReplays([{ ...root, calls: root.calls.filter(({ upstream }) => upstream === stdio) }]);
    const replay = replays.get(root.run);
    const streams = { input: process.stdin, output: process.stdout };
    if (replay !== undefined)
      await Promise.race([stop, serveReplayStdio(root, stdio, replay, streams, onStep)]);
  }
  return summarise(replays, complain);
}

/** Prints where two runs differ. Exit code 0 when they do not, 1 when they do. */
export function logDiff(
  left: string,
  right: string,
  { data, out }: { readonly data: string; readonly out: (line: string) => void },
): number {
  const [one, other] = [left, right].map((run) => recordingOf(run, data).find((each) => each.run === run));
  if (one === undefined || other === undefined) {
    out(`no run ${printable(one === undefined ? left : right)} in the log`);
    return 1;
  }
  let differences = 0;
  for (const step of diffRuns(one.calls, other.calls)) {
    if (step.kind !== 'same') differences++;
    for (const line of renderDifference(step)) out(printable(line));
  }
  out(differences === 0 ? 'the runs are alike' : `${differences} differences`);
  return differences === 0 ? 0 : 1;
}

function renderDifference(step: ReturnType<typeof diffRuns>[number]): string[] {
  switch (step.kind) {
    case 'same':
      return [`  ${titleOf(step.left)}`];
    case 'left':
      return [`- ${titleOf(step.left)} ${step.left.args ?? ''}`];
    case 'right':
      return [`+ ${titleOf(step.right)} ${step.right.args ?? ''}`];
    case 'arguments':
      return [`~ ${titleOf(step.left)}`, `  - ${step.left.args ?? '?'}`, `  + ${step.right.args ?? '?'}`];
    case 'answer':
      return [
        `~ ${titleOf(step.left)}: another answer`,
        `  - ${answerOf(step.left)}`,
        `  + ${answerOf(step.right)}`,
      ];
  }
}

function titleOf({ number, upstream, method, tool }: RecordedCall): string {
  return `${number} ${tool === undefined ? `${upstream} ${method}` : `${upstream}/${tool}`}`;
}

function answerOf({ answer }: RecordedCall): string {
  if (answer.kind === 'none') return 'none';
  return answer.kind === 'lost' ? answer.why : JSON.stringify(answer.value);
}

/** The run that was asked for and those below it, in the order in which they began. */
function recordingOf(run: string, data: string): RecordedRun[] {
  const id = parseRunId(run);
  if (id === undefined) return [];
  using reader = openLogReader(data);
  using content = openContentReader(data);
  const all = readRecording(reader.tree(id), (record) => content.find(record));
  const within = new Set([id]);
  return all.filter((each) => {
    if (each.parent !== undefined && within.has(each.parent)) within.add(each.run);
    return within.has(each.run);
  });
}

function summarise(replays: ReadonlyMap<RunId, Replay>, complain: (line: string) => void): number {
  let code = 0;
  for (const [run, { served, total, stopped }] of replays) {
    const end =
      stopped === undefined ? '' : `, ${stopped.kind} at call ${stopped.at}: ${printable(stopped.why)}`;
    complain(`run ${run}: served ${served} of ${total} calls${end}`);
    if (stopped?.kind === 'diverged' || (stopped === undefined && served < total)) code = 1;
    else if (stopped?.kind === 'unknown' && code === 0) code = 2;
  }
  return code;
}
