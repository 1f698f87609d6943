import { renameSync, writeFileSync } from 'node:fs';
import { type RunId, SallyportError } from '../../base/index.ts';
import {
  appendLeaf,
  type CompactRange,
  consistencyPath,
  decodeRecord,
  encodeBody,
  GATEWAY_STRAND,
  type Hash,
  hashesOfTiles,
  leafHash,
  readRotation,
  rootOf,
  sealRecord,
} from '../../intent-log/index.ts';
import type { SecondCopy } from '../second-copy/index.ts';
import type { DataFolder } from './data-folder.ts';
import { Epochs } from './epochs.ts';
import type { StrandHead } from './index-delta.ts';
import { readOpenRuns, readState, tilesOf } from './index-queries.ts';
import type { LogFile } from './log-file.ts';
import type { LogIndex } from './log-index.ts';
import type { LogKeys } from './log-key.ts';
import { readVerified } from './read-verified.ts';
import type { Answer, Growth, KeyChanged, QuickQuestion } from './worker-messages.ts';

/** Heads of strands kept in memory; older ones are asked of the index. */
const MAX_HEADS = 50_000;

/** How far the clock may be set back while the gateway runs, in milliseconds; more and nobody can trust any time. */
const CLOCK_TOLERANCE = 60_000;
/** Bodies of records that end something. */
const ENDING = /^\{"type":"(?:outcome|run\.close)"/;

/** What is kept of a record of a batch: `place` is where in the batch. */
export type KeptPart = { readonly place: number; readonly sealed: Uint8Array };

/** What a writer goes on from; made by `openLogWriter`, which has verified it. */
export type WriterState = {
  readonly folder: DataFolder;
  readonly file: LogFile;
  readonly index: LogIndex;
  readonly keys: LogKeys;
  /** The tree over all records in the file. */
  readonly range: CompactRange;
  /** Size of the newest checkpoint; -1 when there is none. */
  readonly signedSize: number;
  /** Where everything that is written here goes at the same time. */
  readonly copy?: Pick<SecondCopy, 'send' | 'isBehind' | 'confirmed'> | undefined;
};

/**
 * Gives records their place, writes them, and signs for them.
 *
 * `append` makes records durable. `absorb` then reads them back from the file, compares their hashes with those
 * that were acknowledged and only then lets them into tree and index, so that `checkpoint` signs what the disk
 * holds and not what memory held. After any throw the writer must not be used again.
 */
export class LogWriter {
  readonly #folder: DataFolder;
  readonly #file: LogFile;
  readonly #index: LogIndex;
  readonly #keys: LogKeys;
  readonly #range: CompactRange;
  readonly #heads = new Map<string, StrandHead>();
  /** Leaf hashes of the records that are written but not absorbed. */
  #pending: Hash[] = [];
  readonly #copy: WriterState['copy'];
  #signedSize: number;
  #isTidy = false;
  #epochs: Epochs | undefined;
  /** Time of the newest record of this process. */
  #newest = 0;

  constructor(state: WriterState) {
    this.#folder = state.folder;
    this.#file = state.file;
    this.#index = state.index;
    this.#keys = state.keys;
    this.#range = state.range;
    this.#signedSize = state.signedSize;
    this.#copy = state.copy;
  }

  /** Records that are durable but not yet in tree and index. */
  get backlog(): number {
    return this.#pending.length;
  }

  /**
   * Writes a batch and what is kept of it; durable when it returns. `at`: milliseconds since the epoch.
   */
  append(
    at: number,
    strands: readonly string[],
    bodies: readonly string[],
    kept: readonly KeptPart[] = [],
  ): { first: number; leaves: Hash[] } {
    if (at < this.#newest - CLOCK_TOLERANCE) throw clockError(this.#newest - at);
    this.#newest = Math.max(this.#newest, at);
    return this.#write(at, strands, bodies, kept);
  }

  #write(
    at: number,
    strands: readonly string[],
    bodies: readonly string[],
    kept: readonly KeptPart[] = [],
  ): { first: number; leaves: Hash[] } {
    const first = this.#range.size + this.#pending.length;
    const time = new Date(at).toISOString();
    const leaves: Hash[] = [];
    const heads = new Map<string, StrandHead>();
    const records = bodies.map((body, i) => {
      const strand = strands[i] as string;
      const head = heads.get(strand) ?? this.#head(strand);
      const seq = head === undefined ? 0 : head.seq + 1;
      const envelope = { idx: first + i, at: time, strand, seq, prev: head?.leaf ?? '' };
      const bytes = Buffer.from(sealRecord(envelope, body));
      const leaf = leafHash(bytes);
      heads.set(strand, { seq, leaf });
      leaves.push(leaf);
      return bytes;
    });
    this.#copy?.send({ first, records, leaves }); // it travels while this disk syncs
    const content = kept.map(({ place, sealed }) => ({ idx: first + place, sealed }));
    this.#file.insert(first, records, content);
    for (const [strand, head] of heads) this.#heads.set(strand, head);
    for (const leaf of leaves) this.#pending.push(leaf);
    this.#isTidy = false;
    return { first, leaves };
  }

  /**
   * For a batch that `append` could not write because the disk is full, once there is some room again: writes what
   * ends a call or a run, a record of what is missing, and a last checkpoint. `kept`: places in the batch.
   */
  appendLast(
    at: number,
    strands: readonly string[],
    bodies: readonly string[],
    content: readonly KeptPart[] = [],
  ): { first: number; leaves: Hash[]; kept: number[] } {
    if (this.#copy !== undefined) return this.#appendWhole(at, strands, bodies, content);
    const kept = [...bodies.keys()].filter((i) => ENDING.test(bodies[i] as string));
    const gap = encodeBody({ type: 'gap', reason: 'disk_full', dropped: bodies.length - kept.length });
    const { first, leaves } = this.append(
      at,
      [...kept.map((i) => strands[i] as string), gap.strand],
      [...kept.map((i) => bodies[i] as string), gap.json],
      content.flatMap(({ place, sealed }) =>
        kept.includes(place) ? { place: kept.indexOf(place), sealed } : [],
      ),
    );
    this.checkpoint(at);
    return { first, leaves, kept };
  }

  /** The second copy may have the batch already: the two must not differ. */
  #appendWhole(
    at: number,
    strands: readonly string[],
    bodies: readonly string[],
    content: readonly KeptPart[],
  ) {
    const { first, leaves } = this.append(at, strands, bodies, content);
    return { first, leaves, kept: [...bodies.keys()] };
  }

  /** Reads back at most `limit` records, oldest first, and takes them into tree and index. */
  absorb(limit: number): void {
    const stretch = this.#file.read(this.#range.size, Math.min(limit, this.#pending.length));
    stretch.forEach((stored, i) => {
      const { leaf, record } = readVerified(stored, this.#index, this.#range.size);
      if (leaf !== this.#pending[i]) throw readBackError(stored.idx);
      appendLeaf(this.#range, leaf);
      this.#index.add(record, leaf);
      this.#epochs?.add(record, leaf);
    });
    if (stretch.length === 0 && this.#pending.length > 0) throw readBackError(this.#range.size);
    this.#pending = this.#pending.slice(stretch.length);
  }

  /**
   * Signs for everything that is written, if that changed; else uses the idle moment to tidy the file. Does nothing
   * while the second copy lacks records: what is signed for must not be lost with one disk.
   */
  checkpoint(at: number): void {
    this.#absorbAll();
    if (this.#copy?.isBehind) return;
    const epoch = this.#epochs?.due(this.#range.size);
    if (epoch !== undefined) {
      this.#write(at, [epoch.strand], [epoch.json]);
      this.#absorbAll();
      if (this.#copy?.isBehind) return;
    }
    if (this.#range.size === this.#signedSize) {
      if (!this.#isTidy) this.#file.tidy();
      this.#isTidy = true;
      return;
    }
    const note = this.#keys.sign({ size: this.#range.size, root: rootOf(this.#range) }, at);
    this.#file.insertCheckpoint(this.#range, at, note);
    this.#signedSize = this.#range.size;
    this.#publish(note, this.#folder.checkpoint);
    this.#index.flush(); // after the checkpoint: what the index holds is always signed for
    if (this.#heads.size > MAX_HEADS) this.#heads.clear();
  }

  /**
   * Lets a new key sign from here on, and the old one beside it until a time (seconds since the epoch). The new key is
   * on disk before its record is, and in force after it: a start after a crash in between finds out which it is.
   */
  rotateKey(at: number, { by, reason, until }: { by: string; reason: string; until: number }): KeyChanged {
    this.checkpoint(at);
    const next = this.#keys.prepare({ size: this.#range.size, root: rootOf(this.#range) });
    const { json } = encodeBody({ type: 'key.rotate', ...next, until, by, reason });
    const { first } = this.#write(at, [GATEWAY_STRAND], [json]);
    this.#keys.adopt(next, until);
    this.checkpoint(at);
    return { idx: first, from: next.from, to: next.to };
  }

  /** From here on, with nothing left to absorb, epoch records are written at most so often, in milliseconds. */
  beginEpochs(everyMs: number): void {
    const elapsed = (): number => performance.now();
    this.#epochs = new Epochs(readOpenRuns(this.#index.db), this.#range.size, { everyMs, elapsed });
  }

  /** Where records of a run are of which something is kept, in log order. */
  keptOf(run: RunId): number[] {
    this.#absorbAll();
    return this.#index.places(run).filter((idx) => this.#file.hasContent(idx));
  }

  /** When the newest record of a run was written of which something is kept, in milliseconds. */
  newestKept(run: RunId): number | undefined {
    const place = this.#index.places(run).findLast((idx) => this.#file.hasContent(idx));
    const bytes = place === undefined ? undefined : this.#file.readOne(place);
    const decoded = bytes === undefined ? undefined : decodeRecord(bytes);
    return decoded?.ok ? Date.parse(decoded.value.at) : undefined;
  }

  /** Deletes what is kept of some records; the records stay. */
  removeContent(places: readonly number[]): void {
    this.#file.removeContent(places);
  }

  answer(question: QuickQuestion, at: number): Answer {
    switch (question.kind) {
      case 'state':
        this.checkpoint(at);
        return readState(this.#index.db, question.now);
      case 'keyWasUsed':
        this.#absorbAll();
        return this.#index.keyWasUsed(question.agent, question.key);
      case 'growth':
        this.checkpoint(at);
        return this.#growthSince(question.since);
      case 'rotateKey':
        return this.rotateKey(at, question);
      case 'keepCosignatures':
        return this.#keepCosignatures(question.size, question.lines);
    }
  }

  /** Undefined when the log is smaller than that: then it is not the log that the witness saw. */
  #growthSince(since: number): Growth | undefined {
    const newest = this.#file.newestCheckpoint();
    if (newest === undefined || since > newest.size) return undefined;
    const hashes = hashesOfTiles(tilesOf(this.#index.db));
    const proof = since === 0 ? [] : consistencyPath(since, newest.size, hashes);
    // One that no checkpoint covers yet may be lost with this disk: whoever followed it would follow this log no more.
    const rotations = this.#keys.rotations.filter((note) => (readRotation(note)?.size ?? 0) < newest.size);
    return { ...newest, proof, rotations };
  }

  #keepCosignatures(size: number, lines: string): boolean {
    const note = this.#file.keepCosignatures(size, lines);
    if (note !== undefined) this.#publish(note, this.#folder.cosigned);
    if (note !== undefined) this.#copy?.confirmed(size);
    return note !== undefined;
  }

  /** Closes the files as they are, without a word more. For after an error. */
  abandon(): void {
    this.#index[Symbol.dispose]();
    this.#file[Symbol.dispose]();
  }

  #absorbAll(): void {
    while (this.#pending.length > 0) this.absorb(1024);
  }

  #head(strand: string): StrandHead | undefined {
    return this.#heads.get(strand) ?? this.#index.head(strand);
  }

  /** The copy in a file of its own is for people to carry elsewhere; the log does not depend on it. */
  #publish(note: string, path: string): void {
    const draft = `${path}.new`;
    writeFileSync(draft, note);
    renameSync(draft, path);
  }
}

function clockError(millis: number): Error {
  return new Error(`the clock was set back by ${Math.round(millis / 1000)} s; check it and start again`);
}

function readBackError(idx: number): SallyportError {
  return new SallyportError(
    'ERR_LOG_CORRUPT',
    `record ${idx} was read back other than it was written; check memory and disk of this machine`,
  );
}
