import { DatabaseSync } from 'node:sqlite';
import type { RunId } from '../../../base/index.ts';
import {
  type Commitment,
  commit,
  commitKey,
  contentKey,
  type DataKey,
  type LogRecord,
  openDataKey,
  openSealed,
  type Part,
} from '../../../intent-log/index.ts';
import { dataFolderAt, folderError } from '../data-folder.ts';
import { hasTable } from '../sqlite.ts';
import { readDataKey } from './key-file.ts';

/**
 * What there is of what a record says. `kept`: the text, which is what the record commits to. `altered`: something is
 * there that the record does not commit to. `missing`: the record says it was kept, and it is not there.
 */
export type FoundContent =
  | {
      readonly state: 'kept';
      readonly text: string;
      readonly isRedacted: boolean;
      readonly commitKey: Uint8Array;
    }
  | { readonly state: 'not-kept' | 'too-large' | 'erased' | 'missing' | 'altered' };

/** Reads what is kept of calls, beside a gateway that writes. Whoever can read the data folder can. */
export interface ContentReader extends Disposable {
  /** The arguments of an intent or a refusal, the result of an outcome. */
  find(record: LogRecord): FoundContent;
}

/** Throws `ERR_DATA_FOLDER` when there is no log, and `ERR_KEY_INVALID` on use when the keys cannot be read. */
export function openContentReader(path: string): ContentReader {
  const folder = dataFolderAt(path);
  const keys = new Map<RunId, DataKey | 'erased' | undefined>();
  const { db, read } = openLog(folder.log);

  function keyOf(run: RunId): DataKey | 'erased' | undefined {
    if (!keys.has(run)) {
      const bytes = readDataKey(folder.contentKeys, folder.keys, run);
      keys.set(run, bytes === undefined || bytes === 'erased' ? bytes : openDataKey(bytes));
    }
    return keys.get(run);
  }

  return {
    find(record) {
      const about = commitmentIn(record);
      if (about?.commitment.kept === undefined) return { state: 'not-kept' };
      const { commitment, part, run } = about;
      if (commitment.kept === 'too-large') return { state: 'too-large' };
      const key = keyOf(run);
      if (key === 'erased') return { state: 'erased' };
      const sealed = read?.(record.idx);
      if (key === undefined || sealed === undefined) return { state: 'missing' };
      const text = openSealed(contentKey(key), run, about.call, part, sealed);
      const underKey = commitKey(key, about.call, part);
      const isRedacted = commitment.kept === 'redacted';
      const expected = isRedacted ? commitment.keptMac : commitment.mac;
      if (text === undefined || commit(underKey, text) !== expected) return { state: 'altered' };
      return { state: 'kept', text, isRedacted, commitKey: underKey };
    },
    [Symbol.dispose]: () => db.close(),
  };
}

function commitmentIn(record: LogRecord) {
  if (record.type !== 'intent' && record.type !== 'refusal' && record.type !== 'outcome') return undefined;
  const part: Part = record.type === 'outcome' ? 'result' : 'args';
  const commitment: Commitment | undefined = record.type === 'outcome' ? record.result : record.subject?.args;
  const { run, call } = record;
  return commitment === undefined || run === undefined ? undefined : { run, call, part, commitment };
}

/** `read` is missing for a log that was written before content lay in it. */
function openLog(path: string) {
  try {
    const db = new DatabaseSync(path, { readOnly: true, timeout: 2000 });
    if (!hasTable(db, 'content')) return { db };
    const sealed = db.prepare('SELECT sealed FROM content WHERE idx = ?');
    return { db, read: (idx: number) => sealed.get(idx)?.['sealed'] as Uint8Array | undefined };
  } catch (error) {
    throw folderError(path, error);
  }
}
