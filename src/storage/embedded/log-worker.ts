import { parentPort, workerData } from 'node:worker_threads';
import { SallyportError, systemClock } from '../../base/index.ts';
import { lockDataFolder, prepareDataFolder } from './data-folder.ts';
import type { LogWriter } from './log-writer.ts';
import { openLogWriter } from './open-log-writer.ts';
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
    serve(writer, settings, lock);
    say({ op: 'opened', verifierKey, recovered });
  } catch (error) {
    lock?.[Symbol.dispose]();
    const code = error instanceof SallyportError ? error.code : undefined;
    say({ op: 'refused', code, message: messageOf(error) });
  }
}

/** Answers messages until it is told to close or something fails; after a failure it never writes again. */
function serve(writer: LogWriter, settings: WorkerSettings, lock: Disposable): void {
  let absorbing: NodeJS.Immediate | undefined;
  const timer = setInterval(() => guard(() => writer.checkpoint(systemClock())), settings.checkpointEveryMs);

  function stop(): void {
    clearInterval(timer);
    clearImmediate(absorbing);
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

  function handle(message: ToWorker): void {
    switch (message.op) {
      case 'append': {
        const { first, leaves } = writer.append(message.at, message.strands, message.bodies);
        say({ op: 'appended', first, leaves: leaves.join('') });
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

  port?.on('message', (message: ToWorker) => guard(() => handle(message)));
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

start(workerData as WorkerSettings);
