import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLineSplitter } from './line-splitter.ts';

/** What to run. Comes from the configuration alone: nothing a client sends can change it. */
export type ChildCommand = {
  readonly command: string;
  readonly args: readonly string[];
  /** The whole environment of the child: nothing is inherited. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string;
};

export type ChildListener = {
  /** One line of stdout, without its end. */
  onLine(line: Buffer): void;
  onStderr(line: string): void;
  /** Called once: the process is gone, could not be started, or wrote a line beyond the limit. */
  onGone(detail: string): void;
};

export type ChildTimes = {
  /** How long the child may take to exit by itself once its stdin has closed. Milliseconds. */
  readonly graceMs: number;
  /** How long after SIGTERM the group gets SIGKILL. Milliseconds. */
  readonly killMs: number;
};

const STDERR_LINE = 1024;
const LAST_WORDS_MS = 100;
/** How long a killed group may take to be gone; where nobody reaps orphans it never is. */
const REAPED_MS = 500;

/** The gateway's process has one exit, and no child group may outlive it, whoever started it. */
const living = new Set<number>();

function onExit(): void {
  for (const pid of living) signalGroup(pid, 'SIGKILL');
}

function remember(pid: number): void {
  if (living.size === 0) process.on('exit', onExit);
  living.add(pid);
}

function forget(pid: number): void {
  if (living.delete(pid) && living.size === 0) process.off('exit', onExit);
}

/** False when the group has nobody left. */
function signalGroup(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-pid, signal);
  } catch {
    return false;
  }
}

async function groupGone(pid: number, milliseconds: number): Promise<void> {
  const deadline = performance.now() + milliseconds;
  while (signalGroup(pid, 0) && performance.now() < deadline) await sleep(20);
}

/**
 * A child process that speaks lines of JSON, in a process group of its own, so that what it starts ends with it.
 * A process that leaves the group (`setsid`) is out of reach.
 */
export class StdioChild implements AsyncDisposable {
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #listener: ChildListener;
  readonly #times: ChildTimes;
  readonly #maxQueued: number;
  readonly #exited: Promise<void>;
  #isGone = false;
  #disposal: Promise<void> | undefined;

  constructor(command: ChildCommand, maxLine: number, listener: ChildListener, times: ChildTimes) {
    this.#listener = listener;
    this.#times = times;
    this.#maxQueued = maxLine;
    this.#process = spawn(command.command, command.args, {
      cwd: command.cwd,
      env: command.env,
      shell: false,
      detached: true,
      stdio: 'pipe',
    });
    this.#exited = new Promise((resolve) => {
      this.#process.once('exit', (code, signal) => {
        const detail = signal === null ? `exited with code ${code}` : `ended by ${signal}`;
        // Its last words may still be in the pipe, which others of its group may hold open.
        const report = setTimeout(() => this.#onGone(detail), LAST_WORDS_MS);
        this.#process.once('close', () => {
          clearTimeout(report);
          this.#onGone(detail);
        });
        resolve();
      });
      this.#process.once('error', (error: NodeJS.ErrnoException) => {
        this.#onGone(`could not be started (${error.code})`);
        if (this.pid === undefined) resolve();
      });
    });
    if (this.pid !== undefined) remember(this.pid);
    this.#listen(maxLine);
  }

  /** Also the id of its process group; undefined when it could not be started. */
  get pid(): number | undefined {
    return this.#process.pid;
  }

  /** Writes one line. False when the child is gone or has stopped reading. */
  write(line: string): boolean {
    const { stdin } = this.#process;
    if (this.#isGone || !stdin.writable || stdin.writableLength > this.#maxQueued) return false;
    stdin.write(`${line}\n`);
    return true;
  }

  pause(): void {
    this.#process.stdout.pause();
  }

  resume(): void {
    this.#process.stdout.resume();
  }

  /** Closes stdin, then SIGTERM, then SIGKILL to the group; resolves when the child is gone. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#disposal ??= this.#end();
    return this.#disposal;
  }

  async #end(): Promise<void> {
    this.#process.stdin.end();
    this.#process.stdout.resume(); // a child blocked on a full pipe could not exit
    await this.#exitWithin(this.#times.graceMs);
    const { pid } = this;
    if (pid === undefined) return;
    if (signalGroup(pid, 'SIGTERM')) {
      await groupGone(pid, this.#times.killMs);
      if (signalGroup(pid, 'SIGKILL')) await groupGone(pid, REAPED_MS);
    }
    await this.#exited;
    forget(pid);
  }

  async #exitWithin(milliseconds: number): Promise<void> {
    const abort = new AbortController();
    const late = sleep(milliseconds, undefined, { signal: abort.signal }).catch(() => undefined);
    await Promise.race([this.#exited, late]);
    abort.abort();
  }

  #listen(maxLine: number): void {
    const { stdin, stdout, stderr } = this.#process;
    const out = createLineSplitter(maxLine);
    stdout.on('data', (chunk: Buffer) => {
      for (const line of out.push(chunk)) this.#listener.onLine(line);
      if (!out.isOverlong) return;
      this.#onGone(`wrote a line of more than ${maxLine} bytes`);
      stdout.destroy();
      void this[Symbol.asyncDispose]();
    });
    const err = createLineSplitter(STDERR_LINE, 'cut');
    stderr.on('data', (chunk: Buffer) => {
      for (const line of err.push(chunk)) this.#listener.onStderr(line.toString('utf8'));
    });
    // A child that dies takes its pipes along; its exit is what is reported.
    for (const pipe of [stdin, stdout, stderr]) pipe.on('error', () => undefined);
  }

  #onGone(detail: string): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#listener.onGone(detail);
  }
}
