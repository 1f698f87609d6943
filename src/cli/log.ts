import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { isJsonObject, parseRunId, SallyportError } from '../base/index.ts';
import {
  type AuditReport,
  type CausalCall,
  type CausalRun,
  type CausalTree,
  parseCheckpoint,
  parseNote,
  parseTlogPolicy,
  parseVerifierKey,
  type TlogPolicy,
  type VerifierKey,
} from '../intent-log/index.ts';
import { auditDataFolder, type LogReader, openLogReader } from '../storage/index.ts';
import { openQueries, type QueriedLog } from './open-queries.ts';
import { asciiJson, escapeInvisible, printable } from './printable.ts';

export { printable } from './printable.ts';

export type LogCommand = { readonly folder: string; readonly out: (line: string) => void };

/** What is asked of one gateway's log or of a mirror. */
export type ReadCommand = QueriedLog & { readonly out: (line: string) => void };

export type VerifyCommand = LogCommand & {
  /** The public key (C2SP verifier key) from a place the folder's owner cannot write; else the folder's own. */
  readonly key?: string;
  /** A file with a checkpoint kept from earlier, which the log must still contain. */
  readonly checkpoint?: string;
  /** A tlog-policy file: which log is believed and which witnesses must have seen it. Instead of `key`. */
  readonly policy?: string;
};

const NEWEST_RUNS = 100;
const MAX_OPEN = 100;
/** A running gateway signs every second; wait for it that long and a bit, in milliseconds. */
const CHECKPOINT_PATIENCE = 2500;

/** Prints the newest runs, newest first. Exit code 0. */
export async function logList({ out, ...from }: ReadCommand): Promise<number> {
  await using queries = await openQueries(from);
  const runs = await queries.runs(NEWEST_RUNS);
  for (const { run, parent, agent, owner, purpose, state, openedAt, calls, denials } of runs) {
    const who = `${printable(agent)} (${printable(purpose)})`;
    const counts = `${calls} forwarded, ${denials} denied`;
    const above = parent === undefined ? '' : `  of ${parent}`;
    out(`${run}  ${openedAt}  ${state.padEnd(7)}  ${who}  owner ${printable(owner)}  ${counts}${above}`);
  }
  if (runs.length === 0) out('no runs in the log');
  return 0;
}

export type ShowCommand = ReadCommand & {
  /** One JSON document instead of lines for people. */
  readonly json?: boolean;
};

/** Prints the delegation tree of a run, call by call. Exit code 0, or 1 when the log has no such run. */
export async function logShow(run: string, { out, json, ...from }: ShowCommand): Promise<number> {
  const id = parseRunId(run);
  if (id === undefined) {
    out(`${printable(run)} is not a run id; "sallyport log list" shows those in the log`);
    return 1;
  }
  await using queries = await openQueries(from);
  const tree = await queries.tree(id);
  if (tree === undefined) {
    out(`no run ${id} in the log; "sallyport log list" shows those that are`);
    return 1;
  }
  if (json === true) out(asciiJson(tree));
  else for (const line of renderCausalTree(tree)) out(line);
  return 0;
}

/** Verifies the log offline and prints the answer. Exit code 0 verified, 1 failed, 2 cannot be decided. */
export async function logVerify(command: VerifyCommand): Promise<number> {
  using reader = openLogReader(command.folder);
  const policy = command.policy === undefined ? undefined : readPolicy(command.policy);
  const keys = policy?.logs ?? [verifierKeyOf(command, reader)];
  const known =
    command.checkpoint === undefined ? reader.publishedCheckpoint() : readCheckpoint(command.checkpoint);
  const upTo = await signedEnd(reader);
  const report = await auditDataFolder(command.folder, reader, {
    keys,
    ...(policy === undefined ? {} : { policy }),
    ...(known === undefined ? {} : { known }),
    ...(upTo === undefined ? {} : { upTo }),
  });
  for (const line of renderReport(report)) command.out(line);
  if (report.verdict !== 'failed') for (const line of renderOpening(reader, policy)) command.out(line);
  const newer = reader.end() - (report.witnessed?.size ?? 0);
  if (policy?.needsNone === false && newer > 0)
    command.out(`  ${newer} newer records no witness has seen yet`);
  return { verified: 0, failed: 1, undecided: 2 }[report.verdict];
}

/** Which log this one takes the place of, and from where on: by the word of this one, unless witnesses confirm it. */
function renderOpening(reader: LogReader, policy: TlogPolicy | undefined): string[] {
  const first = reader.recordAt(0);
  if (first?.type !== 'log.open') return [];
  const { previous } = first;
  const note = parseNote(previous.checkpoint);
  const head = note && parseCheckpoint(note.text);
  if (note === undefined || head?.origin !== previous.origin)
    return ['  takes the place of another log, but quotes no checkpoint of it'].map(printable);
  const isWitnessed = policy?.needsNone === false && policy.isWitnessed(note);
  const whose = isWitnessed ? 'as the witnesses of the policy have seen it' : 'by its own word';
  return [`  takes the place of ${previous.origin} from size ${head.size} on, ${whose}`].map(printable);
}

/** The answer of an audit as lines. */
export function renderReport(report: AuditReport): string[] {
  const { verdict, findings, records, checkpoint, witnessed, counts, open, erased, keyChanges } = report;
  const root = checkpoint && Buffer.from(checkpoint.root, 'base64url').toString('base64');
  const head =
    checkpoint && `checkpoint ${printable(checkpoint.origin)} size ${checkpoint.size} root ${root}`;
  const answer = { verified: 'verified', failed: 'FAILED', undecided: 'cannot be decided' }[verdict];
  const lines = [
    `log ${answer}: ${records} records, ${head ?? 'no checkpoint that holds'}`,
    ...(witnessed === undefined
      ? []
      : [`  witnessed up to size ${witnessed.size} at ${new Date(witnessed.at * 1000).toISOString()}`]),
    ...keyChanges.slice(0, MAX_OPEN).map((idx) => `  key of the log changed by record ${idx}`),
    ...findings.map(({ idx, what }) => `  at ${idx}: ${printable(what)}`),
    `  ${counts.intents} intents, ${counts.outcomes} outcomes, ${counts.refusals} refusals, ${open.length} open`,
    ...open
      .slice(0, MAX_OPEN)
      .map(({ call, run, idx }) => `  open: call ${call} of run ${run}, record ${idx}`),
    ...erased.slice(0, MAX_OPEN).map(({ run, idx }) => `  content of run ${run} erased by record ${idx}`),
    ...(open.length > MAX_OPEN ? [`  open: and ${open.length - MAX_OPEN} more`] : []),
  ];
  return lines.map(escapeInvisible);
}

/** A delegation tree as lines for a terminal; nothing that an agent or a server chose can move the cursor. */
export function renderCausalTree({ root, asked }: CausalTree): string[] {
  return renderRun(root, asked === root.opened.run ? undefined : asked).map(escapeInvisible);
}

function renderRun(run: CausalRun, asked: string | undefined): string[] {
  const { opened, closed, at, steps, origin } = run;
  const who = `${printable(opened.agent)} (${printable(opened.purpose)}), owner ${printable(opened.owner.name)}`;
  const head = `run ${opened.run}${opened.run === asked ? ' (asked for)' : ''}  ${who}, attested by ${printable(opened.evidence.attestor)}, ${at}${placeOf(origin)}`;
  const end =
    closed === undefined
      ? 'still open'
      : `${closed.state} by ${printable(closed.by)}: ${printable(closed.reason)}, ${closed.at}`;
  const parts = [
    ...steps.map((step) => (step.kind === 'run' ? renderRun(step, asked) : renderCall(step, origin))),
    [end],
  ];
  return [head, ...parts.flatMap((lines, i) => branch(lines, i === parts.length - 1))];
}

/** Where several logs are shown as one: which of them has it. */
function placeOf(origin: string | undefined): string {
  return origin === undefined ? '' : `  in ${printable(origin)}`;
}

function branch(lines: readonly string[], isLast: boolean): string[] {
  return lines.map((line, i) => {
    if (i === 0) return `${isLast ? '└─' : '├─'} ${line}`;
    return `${isLast ? '  ' : '│ '} ${line}`;
  });
}

/** `around`: the log that the run began in. */
function renderCall(call: CausalCall, around: string | undefined): string[] {
  const mark = call.effect === 'permit' ? '✓' : '✗';
  const lines = [
    `${mark} ${nameOf(call)}  ${why(call)}${call.origin === around ? '' : placeOf(call.origin)}`,
  ];
  const { outcome } = call;
  if (call.effect !== 'permit') return lines;
  const flow = flowOf(call);
  if (outcome === undefined) return [...lines, '  no outcome yet', ...flow];
  const credential =
    outcome.credential === undefined ? 'no credential' : `credential ${printable(outcome.credential)}`;
  const labels = call.labels === undefined ? '' : `, labels ${printable(call.labels.join(' '))}`;
  const detail = outcome.detail === undefined ? '' : `: ${printable(outcome.detail)}`;
  return [
    ...lines,
    `  ${outcome.status}, ${milliseconds(outcome.micros)}, ${credential}${labels}${detail}`,
    ...flow,
  ];
}

/** Where the values of the call were seen before: no proof that they come from there. */
function flowOf({ provenance = {}, continues }: CausalCall): string[] {
  const lines = Object.entries(provenance).flatMap(([path, entry]) => {
    if (!isJsonObject(entry)) return [];
    const sources = Array.isArray(entry['sources']) ? entry['sources'].filter(isJsonObject) : [];
    const seen = sources.map(({ call, field }) => `${String(call)} ${String(field)}`).join(', ');
    const where = seen === '' ? '' : `, seen in ${seen}`;
    return [`  ${printable(path)}: ${printable(String(entry['level']))}${printable(where)}`];
  });
  return continues === undefined ? lines : [...lines, `  carries on ${continues}`];
}

function nameOf({ subject }: CausalCall): string {
  if (subject === undefined) return '(no subject)';
  const { upstream, method, tool } = subject;
  return tool === undefined ? printable(`${upstream} ${method}`) : printable(`${upstream}/${tool}`);
}

function why({ effect, policies, code, reason, detail, micros }: CausalCall): string {
  const parts: string[] = [effect === 'refused' ? 'refused before policy' : effect];
  if (code !== undefined) parts.push(printable(code));
  if (policies.length > 0) parts.push(`[${printable(policies.join(' '))}]`);
  if (reason !== undefined) parts.push(`"${printable(reason)}"`);
  if (detail !== undefined) parts.push(`(${printable(detail)})`);
  if (micros !== undefined) parts.push(milliseconds(micros));
  return parts.join(' ');
}

function milliseconds(micros: number): string {
  return `${(micros / 1000).toFixed(1)} ms`;
}

function verifierKeyOf({ folder, key }: VerifyCommand, reader: LogReader): VerifierKey {
  const text = key ?? reader.verifierKey;
  const parsed = text === undefined ? undefined : parseVerifierKey(text);
  if (parsed !== undefined) return parsed;
  throw new SallyportError(
    'ERR_KEY_INVALID',
    `${folder}/log-public-key is missing or is not a verifier key; pass the key that was handed out`,
  );
}

function readCheckpoint(path: string): string {
  return readText(path, 'name a checkpoint file');
}

/** Reads a tlog-policy file. Throws `ERR_CONFIG_INVALID` when it is none or names no log. */
export function readPolicy(path: string): TlogPolicy {
  const policy = parseTlogPolicy(readText(path, 'name a tlog-policy file'));
  if (!policy.ok) throw new SallyportError('ERR_CONFIG_INVALID', `${path}: ${policy.error}`);
  if (policy.value.logs.length > 0) return policy.value;
  throw new SallyportError('ERR_CONFIG_INVALID', `${path}: names no log; add "log <public key of the log>"`);
}

function readText(path: string, fix: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    throw new SallyportError('ERR_DATA_FOLDER', `${path} cannot be read (${code}); ${fix}`, { cause: error });
  }
}

/** How far a log that is being written is signed for; undefined when nobody signs for its end any more. */
async function signedEnd(reader: LogReader): Promise<number | undefined> {
  const end = reader.end();
  for (let waited = 0; waited <= CHECKPOINT_PATIENCE; waited += 100) {
    const signed = reader.signedSize();
    if (signed >= end) return signed;
    if (waited < CHECKPOINT_PATIENCE) await sleep(100);
  }
  return undefined;
}
