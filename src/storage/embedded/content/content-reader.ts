import { existsSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { CallId, RunId } from '../../../base/index.ts';
import {
  type Commitment,
  commit,
  type DataKey,
  openDataKey,
  openSealed,
  type Part,
  partKey,
} from '../../../intent-log/index.ts';
import { dataFolderAt, folderError } from '../data-folder.ts';
import { readDataKey } from './key-file.ts';

/**
 * What there is of one part of a call. `kept`: the text, which is what the record commits to. `altered`: something is
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
  find(run: RunId, call: CallId, part: Part, commitment: Commitment | undefined): FoundContent;
}

/** Throws `ERR_KEY_INVALID` on use when the keys cannot be read. */
export function openContentReader(path: string): ContentReader {
  const folder = dataFolderAt(path);
  const keys = new Map<RunId, DataKey | 'erased' | undefined>();
  let db: DatabaseSync | undefined;
  let read: StatementSync | undefined;
  try {
    if (existsSync(folder.content)) {
      db = new DatabaseSync(folder.content, { readOnly: true, timeout: 2000 });
      read = db.prepare('SELECT sealed FROM parts WHERE run = ? AND call = ? AND part = ?');
    }
  } catch (error) {
    throw folderError(folder.content, error);
  }

  function keyOf(run: RunId): DataKey | 'erased' | undefined {
    if (!keys.has(run)) {
      const bytes = readDataKey(folder.contentKeys, folder.keys, run);
      keys.set(run, bytes === undefined || bytes === 'erased' ? bytes : openDataKey(bytes));
    }
    return keys.get(run);
  }

  return {
    find(run, call, part, commitment) {
      if (commitment?.kept === undefined) return { state: 'not-kept' };
      if (commitment.kept === 'too-large') return { state: 'too-large' };
      const key = keyOf(run);
      if (key === 'erased') return { state: 'erased' };
      if (key === undefined) return { state: 'missing' };
      const sealed = read?.get(run, call, part)?.['sealed'] as Uint8Array | undefined;
      if (sealed === undefined) return { state: 'missing' };
      const text = openSealed(key, run, call, part, sealed);
      const commitKey = partKey(key, 'commit', call, part);
      const isRedacted = commitment.kept === 'redacted';
      const expected = isRedacted ? commitment.keptMac : commitment.mac;
      if (text === undefined || commit(commitKey, text) !== expected) return { state: 'altered' };
      return { state: 'kept', text, isRedacted, commitKey };
    },
    [Symbol.dispose]: () => db?.close(),
  };
}
