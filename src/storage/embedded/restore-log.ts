import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { SallyportError } from '../../base/index.ts';
import {
  type AuditOptions,
  type AuditReport,
  appendLeaf,
  type CompactRange,
  leafHash,
  parseCheckpoint,
  parseNote,
  type StoredRecord,
} from '../../intent-log/index.ts';
import type { LogStream } from '../second-copy/index.ts';
import { auditDataFolder } from './audit-folder.ts';
import { type DataFolder, dataFolderAt, lockDataFolder, prepareDataFolder } from './data-folder.ts';
import { LogFile } from './log-file.ts';
import { openLogReader } from './log-reader.ts';

export type RestoreOptions = {
  readonly folder: string;
  readonly stream: LogStream;
  /** Whose log it is: public keys, or a policy, and a checkpoint that was kept elsewhere. */
  readonly audit: Omit<AuditOptions, 'upTo' | 'known'> & { readonly known: string };
  /** The public key as it was handed out, for a folder that has none. */
  readonly verifierKey: string | undefined;
  readonly now: number;
};

/** What came of it. `put` is false when the audit failed: then the folder is as it was. */
export type Restored = {
  readonly put: boolean;
  /** Records that were here and that came from the stream. */
  readonly had: number;
  readonly fetched: number;
  readonly report: AuditReport;
};

const STRETCH = 512;

/**
 * Puts the log of a data folder together again from what is there, perhaps nothing, and its second copy. It is built
 * and audited beside the old one, which stays as `log.db.before-restore`.
 *
 * Throws `ERR_LOG_COPY_REFUSED` when the two differ or the stream lacks records, and `ERR_DATA_FOLDER` when a gateway
 * runs on the folder.
 */
export async function restoreLog(options: RestoreOptions): Promise<Restored> {
  const folder = prepareDataFolder(options.folder);
  using _lock = lockDataFolder(folder);
  const draft = dataFolderAt(join(folder.path, 'restoring'));
  rmSync(draft.path, { recursive: true, force: true });
  mkdirSync(draft.path, { mode: 0o700 });
  if (existsSync(folder.log)) copyLog(folder.log, draft.log);
  const counted = await fetchInto(draft, options);
  using reader = openLogReader(draft.path);
  const report = await auditDataFolder(draft.path, reader, options.audit);
  const isWitnessed = options.audit.policy?.needsNone !== false || report.witnessed !== undefined;
  if (report.verdict === 'failed' || report.checkpoint === undefined || !isWitnessed) {
    return { put: false, ...counted, report };
  }
  put(draft, folder);
  const { verifierKey } = options;
  if (verifierKey !== undefined && !existsSync(folder.verifierKey)) {
    writeFileSync(folder.verifierKey, `${verifierKey}\n`);
  }
  return { put: true, ...counted, report };
}

/** The whole file with everything that is in its WAL. */
function copyLog(from: string, to: string): void {
  const db = new DatabaseSync(from, { readOnly: true, timeout: 2000 });
  try {
    db.exec(`VACUUM INTO '${to.replaceAll("'", "''")}'`);
  } finally {
    db.close();
  }
}

async function fetchInto(draft: DataFolder, { stream, audit, now }: RestoreOptions) {
  using file = new LogFile(draft.log);
  const had = file.end();
  for (let next = 0; ; ) {
    const entries = await stream.read(next, STRETCH);
    const last = entries.at(-1);
    if (last === undefined) break;
    takeIn(entries, file);
    next = last.idx + 1;
  }
  keepCheckpoint(file, audit.known, now);
  return { had, fetched: file.end() - had };
}

/** Compares what is here already and adds what follows it. */
function takeIn(entries: readonly StoredRecord[], file: LogFile): void {
  const end = file.end();
  for (const { idx, bytes } of entries) {
    const here = idx < end ? file.readOne(idx) : undefined;
    if (idx < end && (here === undefined || leafHash(here) !== leafHash(bytes))) {
      throw refused(
        `record ${idx} of the stream is not the one here; keep both as evidence, they cannot be joined`,
      );
    }
  }
  const added = entries.filter(({ idx }) => idx >= end);
  const gap = added.findIndex(({ idx }, i) => idx !== end + i);
  if (gap >= 0) {
    throw refused(
      `records from ${end + gap} on are neither here nor in the stream, which goes on at ${added[gap]?.idx}; put a backup of the data folder in place first`,
    );
  }
  if (added.length > 0)
    file.insert(
      end,
      added.map(({ bytes }) => bytes),
    );
}

/** So that the audit, and the next start, find it. Whether it holds is for the audit to say. */
function keepCheckpoint(file: LogFile, note: string, now: number): void {
  const text = parseNote(note)?.text;
  const checkpoint = text === undefined ? undefined : parseCheckpoint(text);
  if (checkpoint === undefined || checkpoint.size <= (file.newestCheckpoint()?.size ?? -1)) return;
  if (checkpoint.size > file.end()) return;
  const range: CompactRange = { size: 0, hashes: [] };
  while (range.size < checkpoint.size) {
    const stretch = file.read(range.size, Math.min(STRETCH, checkpoint.size - range.size));
    if (stretch.length === 0) return;
    for (const { bytes } of stretch) appendLeaf(range, leafHash(bytes));
  }
  file.insertCheckpoint(range, now, note);
}

/** The index comes from the log and is made anew. */
function put(draft: DataFolder, folder: DataFolder): void {
  for (const side of ['', '-wal', '-shm']) {
    rmSync(`${folder.index}${side}`, { force: true });
    if (existsSync(folder.log + side)) renameSync(folder.log + side, `${folder.log}.before-restore${side}`);
  }
  renameSync(draft.log, folder.log);
  rmSync(draft.path, { recursive: true, force: true });
}

function refused(why: string): SallyportError {
  return new SallyportError('ERR_LOG_COPY_REFUSED', `the log cannot be restored: ${why}`);
}
