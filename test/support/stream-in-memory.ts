import { SallyportError } from '../../src/base/index.ts';
import { leafHash } from '../../src/intent-log/index.ts';
import type { LocalLog, LogStream, StreamEntry } from '../../src/storage/second-copy/index.ts';

/** A stream that keeps everything in memory, and can be made to misbehave. */
export class StreamInMemory implements LogStream {
  entries: StreamEntry[] = [];
  held: number | undefined;
  /** Operations that fail before they do anything, and after they have done it. */
  failBefore = 0;
  failAfter = 0;
  appends = 0;

  async check(): Promise<void> {
    this.#mayFail();
  }

  async end(): Promise<number> {
    this.#mayFail();
    return (this.entries.at(-1)?.idx ?? -1) + 1;
  }

  async read(from: number, limit: number): Promise<StreamEntry[]> {
    this.#mayFail();
    return this.entries.filter(({ idx }) => idx >= from).slice(0, limit);
  }

  async take(
    size: number,
    { begin }: { readonly begin: boolean },
  ): Promise<Awaited<ReturnType<LogStream['take']>>> {
    this.#mayFail();
    const end = (this.entries.at(-1)?.idx ?? -1) + 1;
    if (!begin && (this.held === undefined || end === 0) && size > 0) return { kind: 'gone' };
    if (end !== size) return { kind: 'moved', size: end };
    this.held = (this.held ?? 0) + 1;
    return { kind: 'taken', epoch: this.held };
  }

  async append(...[epoch, { first, records }, mac]: Parameters<LogStream['append']>) {
    this.#mayFail();
    if (this.held === undefined) return { kind: 'gone' } as const;
    if (this.held !== epoch) return { kind: 'fenced', epoch: this.held } as const;
    const end = (this.entries.at(-1)?.idx ?? -1) + 1;
    if (end === 0 && first > 0) return { kind: 'gone' } as const;
    if (end < first) return { kind: 'behind', size: end } as const;
    for (const [i, bytes] of records.entries()) {
      const stored = this.entries.find(({ idx }) => idx === first + i);
      if (stored !== undefined && leafHash(stored.bytes) !== leafHash(bytes)) {
        return { kind: 'differs', idx: first + i } as const;
      }
      if (stored !== undefined) continue;
      const batch = i === 0 ? { batch: { count: records.length, mac } } : {};
      this.entries.push({ idx: first + i, bytes, ...batch });
    }
    this.appends++;
    if (this.failAfter > 0 && this.failAfter-- > 0) throw away();
    return { kind: 'held' } as const;
  }

  async epoch(): Promise<number | undefined> {
    this.#mayFail();
    return this.held;
  }

  async trim(epoch: number, size: number): Promise<void> {
    if (epoch === this.held)
      this.entries = this.entries.filter(({ idx }, i, all) => idx >= size || i === all.length - 1);
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #mayFail(): void {
    if (this.failBefore > 0 && this.failBefore-- > 0) throw away();
  }
}

/** A local log in memory. */
export function localInMemory(texts: readonly string[]): LocalLog & { readonly records: Uint8Array[] } {
  const records = texts.map((text): Uint8Array => Buffer.from(text));
  return {
    records,
    end: () => records.length,
    read: (from, limit) => records.slice(from, from + limit).map((bytes, i) => ({ idx: from + i, bytes })),
    insert: (_, added) => void records.push(...added),
  };
}

function away(): SallyportError {
  return new SallyportError('ERR_LOG_COPY_UNAVAILABLE', 'made to fail');
}
