import { parentPort, workerData } from 'node:worker_threads';
import { SallyportError, systemClock } from '../../base/index.ts';
import { lockDataFolder, prepareDataFolder } from './data-folder.ts';
import { DiskRoom } from './disk-room.ts';
import type { LogWriter } from './log-writer.ts';
import { openLogWriter } from './open-log-writer.ts';
import { isSqliteError, SQLITE_FULL } from './sqlite.ts';
import type { FromWorker, ToWorker, WorkerSettings } from './worker-messages.ts';

/** Records absorbed between two looks at the mailbox, at least. */
const SLICE = 64;

const port = parentPort;
if (port === null) throw new Error('log-worker.ts runs in a worker thread only');
const say = (message: FromWorker): void => port.postMessage(message);

function start(settings: WorkerSettings): void {
  let lock: Disposable | undefined;
  try {
    const folder = prepareDataFolder(settings.folder);
    lock = lockDataFolder(folder);
    const { writer, verifierKey, recovered } = openLogWriter(folder, settings.origin, settings);
    serve(writer, new DiskRoom(settings.folder, settings.room), settings, lock);
    say({ op: 'opened', verifierKey, recovered });
  } catch (error) {
    lock?.[Symbol.dispose]();
    const code = error instanceof SallyportError ? error.code : undefined;
    say({ op: 'refused', code, message: messageOf(error) });
  }
}

/** Answers messages until it is told to close or something fails; after a failure it never writes again. */
function serve(writer: LogWriter, room: DiskRoom, settings: WorkerSettings, lock: Disposable): void {
  let absorbing: NodeJS.Immediate | undefined;
  let isLow = false;
  const timer = setInterval(() => guard(tick), settings.checkpointEveryMs);

  function tick(): void {
    writer.checkpoint(systemClock());
    lookForRoom();
  }

  function lookForRoom(): void {
    const wasLow = isLow;
    isLow = room.look();
    if (isLow !== wasLow) say({ op: 'space', isLow });
  }

  function stop(): void {
    clearInterval(timer);
    clearImmediate(absorbing);
    clearImmediate(firstLook);
    writer.abandon();
    lock[Symbol.dispose]();
    port?.close();
  }

  function guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      say({ op: 'failed', message: messageOf(error) });
      stop();
    }
  }

  /** Between batches rather than within one, so that nobody waits for it; faster the further it is behind. */
  function absorbSoon(): void {
    absorbing ??= setImmediate(() => {
      absorbing = undefined;
      guard(() => {
        writer.absorb(Math.max(SLICE, writer.backlog >> 3));
        if (writer.backlog > 0) absorbSoon();
      });
    });
  }

  function append({ at, strands, bodies }: ToWorker & { op: 'append' }): void {
    try {
      const { first, leaves } = writer.append(at, strands, bodies);
      say({ op: 'appended', first, leaves: leaves.join('') });
    } catch (error) {
      if (!isSqliteError(error, SQLITE_FULL)) throw error;
      room.release(); // a write that found no room has been rolled back; one that failed otherwise leaves doubt
      const { first, leaves, kept } = writer.appendLast(at, strands, bodies);
      say({ op: 'closing', first, leaves: leaves.join(''), kept });
      throw new Error('the disk is full', { cause: error });
    }
  }

  function handle(message: ToWorker): void {
    switch (message.op) {
      case 'append': {
        append(message);
        absorbSoon();
        return;
      }
      case 'ask':
        say({ op: 'answer', id: message.id, value: writer.answer(message.question, systemClock()) });
        return;
      case 'close':
        writer.checkpoint(systemClock());
        stop();
        return;
    }
  }

  const firstLook = setImmediate(() => guard(lookForRoom));
  port?.on('message', (message: ToWorker) => guard(() => handle(message)));
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

start(workerData as WorkerSettings);
