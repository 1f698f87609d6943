import { SallyportError } from '../../base/index.ts';
import { createKeySealer } from '../../identity/index.ts';
import type { SecondCopy } from '../second-copy/index.ts';
import { openCopyKey } from './copy-key.ts';
import type { DataFolder } from './data-folder.ts';
import { LogFile } from './log-file.ts';
import type { CopySettings, WorkerSettings } from './worker-messages.ts';

/** How long a start waits for the second copy, in milliseconds. */
const PATIENCE = 3000;

/** The second copy of a log, and how many records one of the two lacked and now has. */
export type OpenedCopy = AsyncDisposable & {
  readonly copy: SecondCopy;
  readonly aligned: { readonly sent: number; readonly adopted: number };
};

/**
 * Opens the second copy of the log in a folder that the caller has locked, and makes both the same before anything
 * else looks at the log. Throws `ERR_LOG_COPY_UNAVAILABLE` or `ERR_LOG_COPY_REFUSED`.
 */
export async function openCopy(
  folder: DataFolder,
  {
    origin,
    sealingKey,
    copy,
  }: Pick<WorkerSettings, 'origin' | 'sealingKey'> & { readonly copy: CopySettings },
  away: (why: string | undefined) => void,
): Promise<OpenedCopy> {
  const { begin = false, trims, ...stream } = copy;
  const sealer = sealingKey === undefined ? undefined : createKeySealer(sealingKey);
  const { openSecondCopy } = await import('../second-copy/index.ts'); // a client that a log without one need not load
  await using opening = new AsyncDisposableStack();
  const local = opening.use(new LogFile(folder.log));
  const opened = await openSecondCopy({
    stream: { ...stream, origin },
    local,
    key: openCopyKey(folder, sealer),
    begin,
    trims,
    patienceMs: PATIENCE,
    away,
  });
  opening.use(opened.copy);
  const open = opening.move();
  return { ...opened, [Symbol.asyncDispose]: () => open.disposeAsync() };
}

/** Waits for what a start has written; not for ever. */
export async function heldInTime(copy: SecondCopy): Promise<void> {
  const late = Promise.withResolvers<never>();
  const why = 'the second copy of the log cannot be used: it has stopped answering';
  const timer = setTimeout(() => late.reject(new SallyportError('ERR_LOG_COPY_UNAVAILABLE', why)), PATIENCE);
  await Promise.race([copy.held(), late.promise]).finally(() => clearTimeout(timer));
}
