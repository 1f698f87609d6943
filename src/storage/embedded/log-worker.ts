import { parentPort, workerData } from 'node:worker_threads';
import { SallyportError, systemClock } from '../../base/index.ts';
import type { SecondCopy } from '../second-copy/index.ts';
import { Chores } from './chores.ts';
import { ContentVault } from './content/content-vault.ts';
import { lockDataFolder, prepareDataFolder } from './data-folder.ts';
import { DiskRoom } from './disk-room.ts';
import type { LogWriter } from './log-writer.ts';
import { heldInTime, openCopy } from './open-copy.ts';
import { openLogWriter } from './open-log-writer.ts';
import { isSqliteError, SQLITE_FULL } from './sqlite.ts';
import type { Answer, Batch, FromWorker, Question, ToWorker, WorkerSettings } from './worker-messages.ts';

/** Records absorbed between two looks at the mailbox, at least. */
const SLICE = 64;
/** Fewer records than these wait for more, or for the next checkpoint: one alone takes three times as long. */
const FEWEST = 32;

const port = parentPort;
if (port === null) throw new Error('log-worker.ts runs in a worker thread only');
const say = (message: FromWorker): void => port.postMessage(message);

async function start(settings: WorkerSettings): Promise<void> {
  const held = new AsyncDisposableStack();
  try {
    const { origin, sealingKey, copy: remote, liveSince } = settings;
    const folder = prepareDataFolder(settings.folder);
    held.use(lockDataFolder(folder));
    const away = (why: string | undefined): void => say({ op: 'copy', away: why });
    const second = remote && held.use(await openCopy(folder, { origin, sealingKey, copy: remote }, away));
    const copy = second?.copy;
    const { writer, verifierKey, recovered } = openLogWriter(folder, origin, { ...settings, copy });
    held.defer(() => writer.abandon());
    const vault = liveSince === undefined ? undefined : held.use(new ContentVault(folder, liveSince));
    if (copy !== undefined) await heldInTime(copy);
    serve({ writer, vault, held, copy }, new DiskRoom(settings.folder, settings.room), settings);
    const content = vault === undefined ? {} : { content: vault.opened };
    say({ op: 'opened', verifierKey, recovered, ...(second && { aligned: second.aligned }), ...content });
  } catch (error) {
    await held.disposeAsync();
    const code = error instanceof SallyportError ? error.code : undefined;
    say({ op: 'refused', code, message: messageOf(error) });
  }
}

/** `held`: what is let go of at the end, the lock last. */
type Stores = {
  readonly writer: LogWriter;
  readonly vault: ContentVault | undefined;
  readonly copy: SecondCopy | undefined;
  readonly held: AsyncDisposableStack;
};

/** Answers messages until it is told to close or something fails; after a failure it never writes again. */
function serve({ writer, vault, held, copy }: Stores, room: DiskRoom, settings: WorkerSettings): void {
  let absorbing: NodeJS.Immediate | undefined;
  let isLow = false;
  let isStopped = false;
  const timer = setInterval(() => guard(tick), settings.checkpointEveryMs);
  const firstLook = setImmediate(() => guard(lookForRoom));
  const chores = new Chores(guard, () => vault?.rewrapSome() ?? false); // a crash may have stopped it half way
  if (vault !== undefined) chores.add(vault.finishErasures(writer));

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
    isStopped = true;
    chores.stop();
    void held.disposeAsync();
    port?.close();
  }

  function guard(work: () => void): void {
    if (isStopped) return;
    try {
      work();
    } catch (error) {
      say({ op: 'failed', message: messageOf(error) });
      stop();
    }
  }

  /** Between batches rather than within one, so that nobody waits for it; faster the further it is behind. */
  function absorbSoon(): void {
    if (writer.backlog < FEWEST) return;
    absorbing ??= setImmediate(() => {
      absorbing = undefined;
      guard(() => {
        writer.absorb(Math.max(SLICE, writer.backlog >> 3));
        absorbSoon();
      });
    });
  }

  /** Goes on when the second copy holds what was written; at once when there is none. */
  function whenHeld(next: () => void): void {
    if (copy === undefined) {
      next();
      return;
    }
    say({ op: 'written' });
    onceHeld(copy, next);
  }

  function onceHeld(second: SecondCopy, next: () => void): void {
    second.held().then(
      () => guard(next),
      () => undefined, // it has failed, and says so itself
    );
  }

  function append(batch: Batch): void {
    const { at, strands, bodies, keys } = batch;
    const sealed = vault?.seal(batch) ?? [];
    let areKeysKept = false;
    try {
      vault?.keep(keys);
      areKeysKept = true;
      const { first, leaves } = writer.append(at, strands, bodies, sealed);
      whenHeld(() => say({ op: 'appended', first, leaves: leaves.join('') }));
    } catch (error) {
      if (!isSqliteError(error, SQLITE_FULL)) throw error;
      room.release(); // a write that found no room has been rolled back; one that failed otherwise leaves doubt
      if (!areKeysKept) vault?.keep(keys);
      const { first, leaves, kept } = writer.appendLast(at, strands, bodies, sealed);
      whenHeld(() => {
        say({ op: 'closing', first, leaves: leaves.join(''), kept });
        throw new Error('the disk is full', { cause: error });
      });
    }
  }

  /**
   * Begun when the second copy has everything before it, which both keys sign for; acknowledged, and signed for with the
   * new key, when it has the record, too.
   */
  function rotateKey(
    question: Question & { readonly kind: 'rotateKey' },
    reply: (value: Answer) => void,
  ): void {
    if (copy?.isBehind) {
      onceHeld(copy, () => rotateKey(question, reply));
      return;
    }
    const changed = writer.rotateKey(systemClock(), question);
    if (copy === undefined) {
      reply(changed);
      return;
    }
    onceHeld(copy, () => {
      writer.checkpoint(systemClock());
      reply(changed);
    });
  }

  /** The last records may still be on their way; what does not arrive, the next start sends and signs for. */
  async function signForLast(second: SecondCopy): Promise<void> {
    await heldInTime(second).catch(() => undefined);
    guard(() => writer.checkpoint(systemClock()));
  }

  function answer(id: number, question: Question): void {
    const reply = (value: Answer): void => say({ op: 'answer', id, value });
    if (question.kind === 'rotateKey') rotateKey(question, reply);
    else if (question.kind !== 'erase' && question.kind !== 'idle' && question.kind !== 'told')
      reply(writer.answer(question, systemClock()));
    else if (vault === undefined) throw new Error('the log was opened without content');
    else chores.add(vault.answer(question, writer), reply);
  }

  function handle(message: ToWorker): void {
    switch (message.op) {
      case 'append':
        append(message);
        absorbSoon();
        return;
      case 'ask':
        answer(message.id, message.question);
        return;
      case 'close':
        chores.finish();
        writer.checkpoint(systemClock());
        if (copy === undefined) stop();
        else void signForLast(copy).finally(stop);
        return;
    }
  }

  void copy?.failed.then((error) =>
    guard(() => {
      throw error;
    }),
  );
  port?.on('message', (message: ToWorker) => guard(() => handle(message)));
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

void start(workerData as WorkerSettings);
