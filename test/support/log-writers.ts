import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { leafHash } from '../../src/intent-log/index.ts';
import { openContentReader, openLogReader } from '../../src/storage/index.ts';

const script = join(import.meta.dirname, 'log-writer-process.ts');

export type LogWriterOptions = {
  readonly callers?: number;
  /** Largest file it may write, in KiB. */
  readonly fileLimit?: number;
  /** Arguments of strace, which then stands between the process and its disk: `-e inject=…`, `-P …`. */
  readonly strace?: readonly string[];
  /** Further arguments of log-writer-process.ts. */
  readonly settings?: readonly string[];
};

/** A process of its own that writes to a log as fast as it can. */
export type LogWriter = {
  /** Resolves when the log is open; false when the process ended before. */
  readonly opened: Promise<boolean>;
  /** Resolves with exit code and signal when it has ended and all it said was read. */
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null }>;
  /** What it said, whole lines only. */
  readonly lines: () => string[];
  /** Leaf hashes by index, as the process was told that they are durable. */
  readonly acknowledged: () => Map<number, string>;
  /** Does it keep what its records say? */
  readonly keepsContent: boolean;
  readonly signal: (name: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT') => void;
};

export function startLogWriter(folder: string, options: LogWriterOptions = {}): LogWriter {
  const { callers = 16, fileLimit, strace, settings = [] } = options;
  const limit = fileLimit === undefined ? '' : `ulimit -f ${fileLimit}; `;
  const traced = strace === undefined ? [] : ['strace', '-f', '-qq', '-o', '/dev/null', ...strace];
  const node = [
    process.execPath,
    '--conditions=sallyport-source',
    script,
    folder,
    String(callers),
    ...settings,
  ];
  const child = spawn('bash', ['-c', `${limit}exec "$@"`, 'bash', ...traced, ...node], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  const opened = Promise.withResolvers<boolean>();
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    if (/^open /m.test(text)) opened.resolve(true);
  });
  child.stderr.resume();
  const lines = (): string[] =>
    text
      .slice(0, text.lastIndexOf('\n') + 1)
      .split('\n')
      .slice(0, -1);
  const ended = endOf(child).finally(() => opened.resolve(false));
  return {
    opened: opened.promise,
    ended,
    lines,
    acknowledged: () => {
      const receipts = lines().flatMap((line) => /^(\d+) (\S+)$/.exec(line) ?? []);
      const found = new Map<number, string>();
      for (let i = 0; i < receipts.length; i += 3) found.set(Number(receipts[i + 1]), receipts[i + 2] ?? '');
      return found;
    },
    keepsContent: settings.some((setting) => setting.startsWith('content=')),
    signal(name) {
      const said = lines().find((line) => line.startsWith('pid '));
      try {
        process.kill(said === undefined ? (child.pid ?? 0) : Number(said.slice(4)), name);
      } catch {
        // it was gone first
      }
    },
  };
}

async function endOf(child: ChildProcess): Promise<{ code: number | null; signal: string | null }> {
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  return { code, signal };
}

/** Leaf hashes of what a folder's log holds from an index on. */
export function storedLeaves(folder: string, from = 0): Map<number, string> {
  using reader = openLogReader(folder);
  return new Map([...reader.records(from)].map(({ idx, bytes }) => [idx, leafHash(bytes)]));
}

/** Which of some records say that something is kept of them, and it is not there as they say. */
export function lostContent(folder: string, places: Iterable<number>): number[] {
  using reader = openLogReader(folder);
  using content = openContentReader(folder);
  return [...places].filter((idx) => {
    const record = reader.recordAt(idx);
    if (record === undefined) return true;
    const { state } = content.find(record);
    return state !== 'kept' && state !== 'not-kept';
  });
}
