import type { RunId } from '../../../base/index.ts';
import { type ContentKey, contentKey, openDataKey, sealPart } from '../../../intent-log/index.ts';
import type { DataFolder } from '../data-folder.ts';
import type { KeptPart, LogWriter } from '../log-writer.ts';
import type { Answer, Batch, NewKey, OpenedContent, Question, QuickQuestion } from '../worker-messages.ts';
import { KeyFile } from './key-file.ts';

/** A question that takes many looks. */
export type SlowQuestion = Exclude<Question, QuickQuestion>;

/** A step of the work that a question is, the one that has the answer with it. */
export type Step = { readonly answer: Answer } | undefined;

/** Rows deleted between two looks at the mailbox: nobody should wait for an erasure. */
const STEP = 500;

/** The keys of runs, in the thread of the log: seals what records say, and erases it. */
export class ContentVault implements Disposable {
  readonly opened: OpenedContent;
  readonly #keys: KeyFile;
  readonly #sealing = new Map<RunId, ContentKey>();
  readonly #erased: Set<RunId>;

  /** `liveSince`: runs with an id before this one are over. Throws `ERR_DATA_FOLDER` or `ERR_KEY_INVALID`. */
  constructor(folder: DataFolder, liveSince: string) {
    this.#keys = new KeyFile(folder.contentKeys, folder.keys);
    const keys = this.#keys.since(liveSince);
    const erased = this.#keys.erasedSince(liveSince);
    this.#erased = new Set(erased);
    this.#remember(keys);
    this.opened = { keys, erased, untold: this.#keys.untold() };
  }

  /** Seals what a batch says, under keys that came with it or before; leaves out what was erased meanwhile. */
  seal({ strands, said, keys, forget }: Batch): KeptPart[] {
    this.#remember(keys);
    const kept = said.flatMap(({ place, call, part, text }) => {
      const run = strands[place] as RunId;
      if (this.#erased.has(run)) return [];
      const key = this.#sealing.get(run);
      if (key === undefined) throw new Error(`there is no data key of run ${run}`);
      return { place, sealed: sealPart(key, run, call, part, text) };
    });
    for (const run of forget) this.#sealing.delete(run);
    return kept;
  }

  /** Keeps new keys; durable when it returns. Before what is sealed with them: without them that is lost. */
  keep(keys: readonly NewKey[]): void {
    const wanted = keys.filter(({ run }) => !this.#erased.has(run));
    if (wanted.length > 0) this.#keys.put(wanted);
  }

  /** Does what is asked in short steps; one of them has the answer. */
  *answer(question: SlowQuestion, writer: LogWriter): Generator<Step> {
    switch (question.kind) {
      case 'erase':
        yield* this.#erase(question, writer);
        return;
      case 'idle':
        yield* this.#idle(question, writer);
        return;
      case 'told':
        this.#keys.told(question.id);
        yield { answer: true };
    }
  }

  /** Deletes what a crash left of erasures that were done. */
  *finishErasures(writer: LogWriter): Generator<Step> {
    for (const { runs } of this.opened.untold) for (const run of runs) yield* this.#empty(run, writer);
  }

  /** Wraps some keys anew under the newest epoch key; false when there is nothing left to do. */
  rewrapSome(): boolean {
    return this.#keys.rewrapSome();
  }

  [Symbol.dispose](): void {
    this.#keys[Symbol.dispose]();
  }

  #remember(keys: readonly NewKey[]): void {
    for (const { run, key } of keys) {
      if (!this.#erased.has(run)) this.#sealing.set(run, contentKey(openDataKey(key)));
    }
  }

  /** From the first step on nothing more is sealed for the runs. What lies there is deleted after the answer. */
  *#erase({ runs, by, reason }: SlowQuestion & { kind: 'erase' }, writer: LogWriter): Generator<Step> {
    for (const run of runs) {
      this.#erased.add(run);
      this.#sealing.delete(run);
    }
    let parts = 0;
    for (const run of runs) {
      parts += writer.keptOf(run).length;
      yield;
    }
    yield { answer: this.#keys.erase({ runs, parts, by, reason }) };
    for (const run of runs) yield* this.#empty(run, writer);
  }

  *#empty(run: RunId, writer: LogWriter): Generator<undefined> {
    const places = writer.keptOf(run);
    for (let i = 0; i < places.length; i += STEP) {
      writer.removeContent(places.slice(i, i + STEP));
      yield;
    }
  }

  *#idle({ before, bornBefore }: SlowQuestion & { kind: 'idle' }, writer: LogWriter): Generator<Step> {
    const idle: RunId[] = [];
    for (const run of this.#keys.runsBefore(bornBefore)) {
      const at = writer.newestKept(run);
      if (at !== undefined && at < before) idle.push(run);
      yield;
    }
    yield { answer: idle };
  }
}
