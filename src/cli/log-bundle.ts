import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseRunId, type RunId, SallyportError, sha256 } from '../base/index.ts';
import {
  type BundleReport,
  type DisclosedPart,
  type Evidence,
  toFiles,
  verifyBundle,
  writeTar,
} from '../evidence/index.ts';
import {
  type Commitment,
  formatTlogProof,
  type LogRecord,
  type Part,
  parseFilter,
  parseTlogPolicy,
} from '../intent-log/index.ts';
import { type ContentReader, type LogReader, openContentReader, openLogReader } from '../storage/index.ts';
import type { LogCommand } from './log.ts';
import { printable } from './printable.ts';

export type BundleCommand = LogCommand & {
  /** File to write. */
  readonly bundle: string;
  /** Discloses arguments and results that were kept. */
  readonly content?: true;
};

/**
 * Writes one file with everything about a run and the runs above and below it, to be verified with nothing else.
 * Exit code 0, or 1 when the log has no such run or has not signed for it yet.
 */
export function logExport(run: string, { folder, bundle, content, out }: BundleCommand): number {
  const id = parseRunId(run);
  using reader = openLogReader(folder);
  const tree = id === undefined ? [] : reader.tree(id);
  const root = tree.find((record) => record.type === 'run.open')?.root;
  if (root === undefined) {
    out(`no run ${printable(run)} in the log; "sallyport log list" shows those that are`);
    return 1;
  }
  const around = recordsAround(tree, reader);
  const places = [...new Set([...tree, ...around].map(({ idx }) => idx))].sort((one, other) => one - other);
  const proven = reader.proveAll(places);
  if (proven === undefined) {
    out('the log has not signed for these records yet; try again in a second');
    return 1;
  }
  using kept = openContentReader(folder);
  const found = content === true ? disclose(tree, kept) : { parts: [], lost: [] };
  const evidence: Evidence = {
    root,
    verifierKey: reader.verifierKey ?? '',
    records: proven.map(({ idx, bytes, proof }) => ({ idx, bytes, proof: formatTlogProof(proof) })),
    definitions: definitionsOf(around, tree, folder),
    content: found.parts,
  };
  writeFileSync(bundle, writeTar(toFiles(evidence)), { mode: 0o600 });
  for (const line of found.lost) out(`  ${line}`);
  out(
    `${bundle}: ${places.length} records, ${evidence.definitions.size} definitions, ${found.parts.length} arguments and results`,
  );
  return 0;
}

/** Verifies a bundle with nothing else at hand. Exit code 0 verified, 1 failed, 2 cannot be decided. */
export function logVerifyBundle(
  path: string,
  { policy, out }: { readonly policy?: string; readonly out: (line: string) => void },
): number {
  const believed = policy === undefined ? undefined : parseTlogPolicy(read(policy).toString('utf8'));
  if (believed?.ok === false) throw new SallyportError('ERR_CONFIG_INVALID', `${policy}: ${believed.error}`);
  const report = verifyBundle(read(path), believed?.value);
  for (const line of renderBundleReport(report)) out(line);
  return { verified: 0, failed: 1, undecided: 2 }[report.verdict];
}

/** The answer about a bundle as lines. */
export function renderBundleReport(report: BundleReport): string[] {
  const { verdict, root, records, checkpoint, findings, disclosed, erased } = report;
  const answer = { verified: 'verified', failed: 'FAILED', undecided: 'cannot be decided' }[verdict];
  const where =
    checkpoint === undefined ? '' : `, in the tree of ${checkpoint.origin}, size ${checkpoint.size}`;
  return [
    `bundle ${answer}: run ${root ?? 'unknown'}, ${records} records${where}`,
    ...findings.map(({ what }) => `  ${what}`),
    ...erased.map(({ run, idx }) => `  content of run ${run} erased by record ${idx}`),
    ...(disclosed === 0 ? [] : [`  ${disclosed} arguments and results are what the records commit to`]),
  ].map(printable);
}

/** The records of the gateway that say what was in force, and what was erased since. */
function recordsAround(tree: readonly LogRecord[], reader: LogReader): LogRecord[] {
  const found = new Map<number, LogRecord>();
  const newest = (filter: string, before: number): void => {
    for (const { record } of find(reader, filter)) {
      if (record.idx > before) continue;
      found.set(record.idx, record);
      return;
    }
  };
  const known = new Set<string>();
  for (const record of tree) {
    if (record.type === 'run.open' && known.size === 0) newest('type=boot', record.idx);
    if (record.type !== 'intent' && record.type !== 'refusal') continue;
    const { revision } = record.decision ?? {};
    const { tool, upstream, pin } = record.subject ?? {};
    if (revision !== undefined && !known.has(revision)) {
      known.add(revision);
      newest(`type=policyset.load revision=${revision}`, record.idx);
    }
    if (tool === undefined || known.has(`${upstream} ${pin}`)) continue;
    known.add(`${upstream} ${pin}`);
    newest(`type=toolset.pin upstream="${upstream}"`, record.idx);
  }
  const runs = new Set<RunId>(tree.flatMap((record) => (record.type === 'run.open' ? record.run : [])));
  for (const { record } of find(reader, 'type=erasure')) {
    if (record.type === 'erasure' && record.runs.some((run) => runs.has(run))) found.set(record.idx, record);
  }
  return [...found.values()];
}

function find(reader: LogReader, text: string): ReturnType<LogReader['find']> {
  const filter = parseFilter(text);
  if (!filter.ok) throw new TypeError(filter.error);
  return reader.find(filter.value);
}

function disclose(
  tree: readonly LogRecord[],
  content: ContentReader,
): { readonly parts: DisclosedPart[]; readonly lost: string[] } {
  const parts: DisclosedPart[] = [];
  const lost: string[] = [];
  const take = (
    record: LogRecord & { type: 'intent' | 'refusal' | 'outcome' },
    part: Part,
    about?: Commitment,
  ) => {
    if (record.run === undefined || about === undefined) return;
    const found = content.find(record);
    if (found.state === 'kept') {
      const key = Buffer.from(found.commitKey).toString('base64url');
      parts.push({ call: record.call, part, key, text: found.text });
    } else if (found.state !== 'not-kept') lost.push(`${part} of call ${record.call}: ${found.state}`);
  };
  for (const record of tree) {
    if (record.type === 'outcome') take(record, 'result', record.result);
    else if (record.type === 'intent' || record.type === 'refusal')
      take(record, 'args', record.subject?.args);
  }
  return { parts, lost };
}

function definitionsOf(
  around: readonly LogRecord[],
  tree: readonly LogRecord[],
  folder: string,
): Map<string, string> {
  const named = new Set<string>();
  for (const record of [...around, ...tree]) {
    if (record.type === 'policyset.load' && record.digest !== undefined) named.add(record.digest);
    if (record.type === 'toolset.pin') {
      for (const digest of Object.values({ ...record.tools, ...record.prompts })) named.add(String(digest));
      if (record.instructions !== undefined) named.add(record.instructions);
    }
    if ((record.type === 'intent' || record.type === 'refusal') && record.subject?.pin !== undefined)
      named.add(record.subject.pin);
  }
  const definitions = new Map<string, string>();
  for (const digest of named) {
    const path = join(folder, 'definitions', digest);
    const text = /^[\w-]{43}$/.test(digest) && existsSync(path) ? readFileSync(path, 'utf8') : undefined;
    if (text !== undefined && sha256(text) === digest) definitions.set(digest, text);
  }
  return definitions;
}

function read(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new SallyportError('ERR_DATA_FOLDER', `${path} cannot be read (${code}); name a readable file`, {
      cause: error,
    });
  }
}
