import { parentPort, workerData } from 'node:worker_threads';
import { type RunId, SallyportError } from '../../../base/index.ts';
import { type DataKey, openDataKey, sealPart } from '../../../intent-log/index.ts';
import { dataFolderAt } from '../data-folder.ts';
import { ContentFile } from './content-file.ts';
import type { ContentSettings, FromContentWorker, ToContentWorker } from './content-messages.ts';
import { KeyFile } from './key-file.ts';

const port = parentPort;
if (port === null) throw new Error('content-worker.ts runs in a worker thread only');
const say = (message: FromContentWorker): void => port.postMessage(message);

function start(settings: ContentSettings): void {
  try {
    const folder = dataFolderAt(settings.folder);
    const keys = new KeyFile(folder.contentKeys, folder.keys);
    const content = new ContentFile(folder.content);
    const live = keys.since(settings.liveSince);
    const untold = keys.untold();
    for (const { runs } of untold) content.remove(runs);
    serve(
      { keys, content, dataKeys: new Map(live.map(({ run, key }) => [run, openDataKey(key)])) },
      settings,
    );
    say({ op: 'opened', keys: live, erased: keys.erasedSince(settings.liveSince), untold });
  } catch (error) {
    const code = error instanceof SallyportError ? error.code : undefined;
    say({ op: 'refused', code, message: messageOf(error) });
  }
}

type Stores = {
  readonly keys: KeyFile;
  readonly content: ContentFile;
  readonly dataKeys: Map<RunId, DataKey>;
};

/** Works until it is told to close or something fails; after a failure it never writes again. */
function serve(stores: Stores, { syncEveryMs }: ContentSettings): void {
  const { keys, content } = stores;
  const timer = setInterval(() => guard(() => content.sync()), syncEveryMs);
  let rewrapping: NodeJS.Immediate | undefined;

  function stop(): void {
    clearInterval(timer);
    clearImmediate(rewrapping);
    content[Symbol.dispose]();
    keys[Symbol.dispose]();
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

  /** Between batches, so that no call waits for it. */
  function rewrapSoon(): void {
    rewrapping ??= setImmediate(() => {
      rewrapping = undefined;
      guard(() => {
        if (keys.rewrapSome()) rewrapSoon();
      });
    });
  }

  rewrapSoon(); // a crash may have stopped it half way
  port?.on('message', (message: ToContentWorker) =>
    guard(() => {
      if (message.op === 'close') {
        content.sync();
        stop();
        return;
      }
      handle(message, stores);
      if (message.op === 'erase') rewrapSoon();
    }),
  );
}

function handle(message: Exclude<ToContentWorker, { op: 'close' }>, stores: Stores): void {
  const { keys, content, dataKeys } = stores;
  switch (message.op) {
    case 'put':
      put(message, stores);
      say({ op: 'put' });
      return;
    case 'erase': {
      const { runs, by, reason } = message;
      const erasure = keys.erase({ runs, parts: content.count(runs), by, reason });
      content.remove(runs);
      for (const run of runs) dataKeys.delete(run);
      say({ op: 'erased', erasure });
      return;
    }
    case 'idle':
      say({ op: 'idle', runs: content.idleSince(message.before, message.bornBefore) });
      return;
    case 'told':
      keys.told(message.id);
      return;
  }
}

/** Keys first: without them what is sealed is lost. */
function put({ at, keys, parts, forget }: ToContentWorker & { op: 'put' }, stores: Stores): void {
  stores.keys.put(keys);
  for (const { run, key } of keys) stores.dataKeys.set(run, openDataKey(key));
  stores.content.put(
    parts.map(({ run, call, part, text }) => {
      const key = stores.dataKeys.get(run);
      if (key === undefined) throw new Error(`there is no data key of run ${run}`);
      return { run, call, part, at, sealed: sealPart(key, run, call, part, text) };
    }),
  );
  for (const run of forget) stores.dataKeys.delete(run);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

start(workerData as ContentSettings);
