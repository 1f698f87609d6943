import { DatabaseSync } from 'node:sqlite';
import { type AuditReport, auditLog, parseVerifierKey } from '../../src/intent-log/index.ts';
import {
  type EmbeddedLog,
  type EmbeddedLogOptions,
  openEmbeddedLog,
  openLogReader,
} from '../../src/storage/index.ts';
import { NOON } from './records.ts';

export const ORIGIN = 'agents.example.org/log';

/** Opens a log that signs only when it is asked or closed, so that tests choose when. */
export function openLog(folder: string, over: Partial<EmbeddedLogOptions> = {}): Promise<EmbeddedLog> {
  return openEmbeddedLog({
    folder,
    origin: ORIGIN,
    now: () => NOON,
    queueLimit: 1000,
    checkpointEveryMs: 60_000,
    ...over,
  });
}

/** The audit of a folder with its own public key and its published checkpoint. */
export function auditFolder(folder: string): AuditReport {
  using reader = openLogReader(folder);
  const key = parseVerifierKey(reader.verifierKey ?? '');
  if (key === undefined) throw new Error('no public key');
  const known = reader.publishedCheckpoint();
  return auditLog(reader, { keys: [key], ...(known === undefined ? {} : { known }) });
}

/** Changes the file of a closed log behind its back. */
export function tamper(folder: string, sql: string): void {
  const db = new DatabaseSync(`${folder}/log.db`);
  db.exec(sql);
  db.close();
}
