import { existsSync, readFileSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { parseCallId, parseRunId, type RunId, SallyportError } from '../../base/index.ts';
import {
  decodeRecord,
  type Filter,
  type Found,
  fits,
  hashesOfTiles,
  headOf,
  inclusionPath,
  type LogRecord,
  type LogSource,
  leafHash,
  parseNote,
  type StoredCheckpoint,
  type StoredRecord,
  scanHeader,
  type TlogProof,
} from '../../intent-log/index.ts';
import { type DataFolder, dataFolderAt, folderError } from './data-folder.ts';
import { addToDelta, emptyDelta, type IndexDelta } from './index-delta.ts';
import { hasIndexFormat } from './index-file.ts';
import {
  type AgentUse,
  type LoggedRun,
  readAgentUse,
  readCursor,
  readNewestRuns,
  readRoot,
  readStrand,
  readTree,
  runOf,
  tilesOf,
} from './index-queries.ts';
import { candidates, outcomeOf, placeOfCall, type Searched } from './log-query.ts';
import { corrupt } from './read-verified.ts';
import { hasTable } from './sqlite.ts';

/**
 * A second, read-only pair of eyes on a log: works from any process, also while a gateway writes. Uses the index
 * where there is one and reads the log itself from where the index ends.
 */
export interface LogReader extends LogSource, Disposable {
  keyChanges(): StoredRecord[];
  /** What the data folder says is the public key; someone who does not trust the folder brings their own. */
  readonly verifierKey: string | undefined;
  /** The published copy of the newest checkpoint, if there is one. */
  publishedCheckpoint(): string | undefined;
  /** Index after the last record. */
  end(): number;
  /** Size of the newest stored checkpoint, not verified; -1 when there is none. */
  signedSize(): number;
  /** The newest runs, newest first. */
  runs(limit: number): LoggedRun[];
  /** Where the records of a call or a run are, in log order; empty when the log has none. */
  placesOf(id: string): number[];
  /**
   * The record at an index with the proof that it is in the newest checkpoint that the index covers. Undefined
   * when it is not signed for yet. Nothing here is verified: `verifyTlogProof` does that.
   */
  prove(idx: number): { readonly bytes: Uint8Array; readonly proof: TlogProof } | undefined;
  /** What agents called and when they last had a run, since the log began. */
  agentUse(): AgentUse;
  /**
   * Records with proofs that are all of one checkpoint: the newest cosigned one that covers them, else the newest of
   * all. Undefined when one of them is not signed for yet.
   */
  proveAll(
    places: readonly number[],
  ): { readonly idx: number; readonly bytes: Uint8Array; readonly proof: TlogProof }[] | undefined;
  /** Records that fit a filter, newest first; requests, unless the filter asks for another type. */
  find(filter: Filter): Generator<Found>;
  /** The record at an index; undefined when there is none. Throws `ERR_LOG_CORRUPT` when it cannot be read. */
  recordAt(idx: number): LogRecord | undefined;
  /** Records of all runs in the delegation tree of a run, in log order; empty when the log has no such run. */
  tree(run: RunId): LogRecord[];
}

const STRETCH = 512;

/** Opens the log of a data folder for reading. Throws `ERR_DATA_FOLDER` when there is none. */
export function openLogReader(path: string): LogReader {
  const folder = dataFolderAt(path);
  if (!existsSync(folder.log)) {
    throw new SallyportError(
      'ERR_DATA_FOLDER',
      `${path} holds no intent log; name the data folder of a gateway that has run`,
    );
  }
  try {
    const log = new DatabaseSync(folder.log, { readOnly: true, timeout: 2000 });
    log.prepare('SELECT 1 FROM records LIMIT 1').get();
    return new FileReader(folder, log);
  } catch (error) {
    throw folderError(folder.log, error);
  }
}

class FileReader implements LogReader {
  readonly verifierKey: string | undefined;
  readonly #folder: DataFolder;
  readonly #log: DatabaseSync;
  readonly #index: DatabaseSync | undefined;
  readonly #read: StatementSync;

  constructor(folder: DataFolder, log: DatabaseSync) {
    this.#folder = folder;
    this.#log = log;
    this.#index = openIndex(folder.index);
    this.#read = log.prepare('SELECT idx, bytes FROM records WHERE idx >= ? ORDER BY idx LIMIT ?');
    this.#read.setReturnArrays(true);
    this.verifierKey = readIfThere(folder.verifierKey)?.trim();
  }

  /** In stretches rather than with one open cursor, which would keep the writer from tidying its file. */
  *records(from: number): Generator<StoredRecord> {
    for (let next = from; ; ) {
      const rows = this.#read.all(next, STRETCH) as unknown as [number, Uint8Array][];
      if (rows.length === 0) return;
      for (const [idx, bytes] of rows) yield { idx, bytes };
      next = (rows.at(-1)?.[0] ?? next) + 1;
    }
  }

  checkpoints(): StoredCheckpoint[] {
    const all = hasTable(this.#log, 'cosigned')
      ? 'SELECT size, note FROM checkpoints UNION SELECT size, note FROM cosigned ORDER BY size'
      : 'SELECT size, note FROM checkpoints ORDER BY size';
    return this.#log.prepare(all).all() as unknown as StoredCheckpoint[];
  }

  keyChanges(): StoredRecord[] {
    if (!hasTable(this.#log, 'key_changes')) return [];
    const rows = this.#log
      .prepare('SELECT idx, bytes FROM key_changes JOIN records USING (idx) ORDER BY idx')
      .all();
    return rows as unknown as StoredRecord[];
  }

  publishedCheckpoint(): string | undefined {
    return readIfThere(this.#folder.checkpoint);
  }

  end(): number {
    return Number(this.#log.prepare('SELECT coalesce(max(idx) + 1, 0) AS n FROM records').get()?.['n']);
  }

  signedSize(): number {
    return Number(this.#log.prepare('SELECT coalesce(max(size), -1) AS n FROM checkpoints').get()?.['n']);
  }

  runs(limit: number): LoggedRun[] {
    return this.#withTail((index, tail) => {
      const known = index === undefined ? [] : readNewestRuns(index, limit);
      const opened = [...tail.opened.values()].reverse().map(
        (record): LoggedRun => ({
          run: runOf(record),
          state: 'live',
          openedAt: record.at,
          calls: 0,
          toolCalls: 0,
          denials: 0,
          labels: [],
        }),
      );
      return [...opened, ...known].slice(0, limit).map((run) => withTail(run, tail));
    });
  }

  agentUse(): AgentUse {
    return this.#withTail((index, tail) => {
      const known = index === undefined ? undefined : readAgentUse(index);
      const lastRuns = new Map(known?.lastRuns);
      for (const { agent, at } of tail.opened.values()) lastRuns.set(agent, at);
      return { tools: [...(known?.tools ?? []), ...tail.toolUse.values()], lastRuns };
    });
  }

  tree(run: RunId): LogRecord[] {
    const places = this.#withTail((index, tail) => {
      const root = tail.opened.get(run)?.root ?? (index && readRoot(index, run));
      if (root === undefined) return [];
      const runs = new Set(index === undefined ? [] : readTree(index, root));
      for (const opened of tail.opened.values()) if (opened.root === root) runs.add(opened.run);
      return [...runs].flatMap((each) => placesIn(each, index, tail));
    });
    return places.sort((a, b) => a - b).map((idx) => this.#decodeAt(idx));
  }

  placesOf(id: string): number[] {
    return this.#withTail((index, tail) => {
      const run = parseRunId(id);
      const ofRun = run === undefined ? [] : placesIn(run, index, tail);
      if (ofRun.length > 0) return ofRun;
      const end = index === undefined ? 0 : readCursor(index).next;
      return this.#placesOfCall(id, { index, end, tail });
    });
  }

  prove(idx: number): { readonly bytes: Uint8Array; readonly proof: TlogProof } | undefined {
    return this.#withTail((index) => {
      const [row] = this.#read.all(idx, 1) as unknown as [number, Uint8Array][];
      const covered = index === undefined ? 0 : readCursor(index).next;
      const signed = this.checkpoints().findLast(({ size }) => size <= covered);
      if (index === undefined || signed === undefined || idx >= signed.size || row?.[0] !== idx)
        return undefined;
      const path = inclusionPath(idx, signed.size, hashesOfTiles(tilesOf(index)));
      return {
        bytes: row[1],
        proof: { index: idx, path, checkpoint: signed.note, ...this.#rotationsBefore(signed.size) },
      };
    });
  }

  proveAll(places: readonly number[]) {
    return this.#withTail((index) => {
      const covered = index === undefined ? 0 : readCursor(index).next;
      const last = Math.max(-1, ...places);
      const usable = this.checkpoints().filter(({ size }) => size <= covered && size > last);
      const signed =
        usable.findLast(({ note }) => (parseNote(note)?.signatures.length ?? 0) > 1) ?? usable.at(-1);
      if (index === undefined || signed === undefined) return undefined;
      const hashes = hashesOfTiles(tilesOf(index));
      const told = this.#rotationsBefore(signed.size);
      return places.map((idx) => {
        const [row] = this.#read.all(idx, 1) as unknown as [number, Uint8Array][];
        if (row?.[0] !== idx) throw corrupt(`record ${idx} is missing`);
        const path = inclusionPath(idx, signed.size, hashes);
        return { idx, bytes: row[1], proof: { index: idx, path, checkpoint: signed.note, ...told } };
      });
    });
  }

  *find(filter: Filter): Generator<Found> {
    const searched = this.#withTail((index, tail): Searched => {
      return { index, end: index === undefined ? 0 : readCursor(index).next, tail };
    });
    for (const idx of candidates(filter, searched)) {
      const record = this.#decodeAt(idx);
      if (!fits(record, filter)) continue;
      const place = record.type === 'intent' ? outcomeOf(idx, record.call, searched) : undefined;
      const outcome = place === undefined ? undefined : this.#decodeAt(place);
      const status = outcome?.type === 'outcome' ? outcome.status : undefined;
      if (filter.status.length > 0 && (status === undefined || !filter.status.includes(status))) continue;
      yield outcome?.type === 'outcome' ? { record, outcome } : { record };
    }
  }

  recordAt(idx: number): LogRecord | undefined {
    const [row] = this.#read.all(idx, 1) as unknown as [number, Uint8Array][];
    return row?.[0] === idx ? decode({ idx, bytes: row[1] }) : undefined;
  }

  /** Taints of the call are between its intent and its outcome, in the strand of its run. */
  #placesOfCall(id: string, searched: Searched): number[] {
    const call = parseCallId(id);
    const first = call === undefined ? undefined : placeOfCall(call, searched);
    if (call === undefined || first === undefined) return [];
    const record = this.#decodeAt(first);
    const run = 'run' in record ? record.run : undefined;
    if (run === undefined) return [first];
    const { index, tail } = searched;
    return placesIn(run, index, tail).filter((idx) => {
      const [row] = idx < first ? [] : (this.#read.all(idx, 1) as unknown as [number, Uint8Array][]);
      return row !== undefined && scanHeader(headOf(row[1]))?.call === call;
    });
  }

  [Symbol.dispose](): void {
    this.#index?.close();
    this.#log.close();
  }

  /** Asks the index and the part of the log that it does not cover, in one snapshot of the index. */
  #withTail<T>(ask: (index: DatabaseSync | undefined, tail: IndexDelta) => T): T {
    this.#index?.exec('BEGIN');
    try {
      const { next, leaf } = this.#index === undefined ? { next: 0, leaf: '' } : readCursor(this.#index);
      const tail = emptyDelta(next, leaf);
      for (const stored of this.records(next)) addToDelta(tail, decode(stored), leafHash(stored.bytes));
      return ask(this.#index, tail);
    } finally {
      this.#index?.exec('COMMIT');
    }
  }

  /** The changes of keys that a reader of a proof may need, up to a size of the tree. */
  #rotationsBefore(size: number): Pick<TlogProof, 'rotations'> {
    const rotations = this.keyChanges().flatMap((stored) => {
      const record = stored.idx < size ? decode(stored) : undefined;
      return record?.type === 'key.rotate' ? record.note : [];
    });
    return rotations.length === 0 ? {} : { rotations };
  }

  #decodeAt(idx: number): LogRecord {
    const [row] = this.#read.all(idx, 1) as unknown as [number, Uint8Array][];
    if (row?.[0] !== idx) throw corrupt(`record ${idx} is missing`);
    return decode({ idx, bytes: row[1] });
  }
}

function placesIn(run: RunId, index: DatabaseSync | undefined, tail: IndexDelta): number[] {
  return [...(index === undefined ? [] : readStrand(index, run)), ...(tail.strands.get(run)?.records ?? [])];
}

function decode({ idx, bytes }: StoredRecord): LogRecord {
  const decoded = decodeRecord(bytes);
  if (!decoded.ok) throw corrupt(`record ${idx} cannot be read (${decoded.error.reason})`);
  return decoded.value;
}

function withTail(logged: LoggedRun, { closed, counts }: IndexDelta): LoggedRun {
  const end = closed.get(logged.run.id);
  const added = counts.get(logged.run.id);
  return {
    ...logged,
    ...(end === undefined ? {} : { state: end.state, closedAt: end.at }),
    calls: logged.calls + (added?.calls ?? 0),
    toolCalls: logged.toolCalls + (added?.toolCalls ?? 0),
    denials: logged.denials + (added?.denials ?? 0),
  };
}

/** Undefined when there is no index that can be read: the log alone then has to do. */
function openIndex(path: string): DatabaseSync | undefined {
  if (!existsSync(path)) return undefined;
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(path, { readOnly: true, timeout: 2000 });
    if (hasIndexFormat(db)) return db;
  } catch {
    // damaged: as good as none
  }
  db?.close();
  return undefined;
}

function readIfThere(path: string): string | undefined {
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
}
