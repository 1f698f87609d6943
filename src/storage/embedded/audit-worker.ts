import { parentPort, workerData } from 'node:worker_threads';
import { createTreeCheck, type DueCheckpoints, leafHash, type TreeChecked } from '../../intent-log/index.ts';
import { createStretch, memoryOf, type Stretch } from './audit-stretch.ts';
import { openLogReader } from './log-reader.ts';

/** What the reading thread of an audit is started with; `upTo`: stop before this index. */
export type AuditWorkerData = DueCheckpoints & { readonly folder: string; readonly upTo: number };

/** What it says. Each stretch is answered with any message, so that only a few of them are in memory. */
export type FromAuditWorker =
  | { readonly op: 'stretch'; readonly stretch: Stretch }
  | { readonly op: 'done'; readonly tree: TreeChecked };

/** Stretches that may wait to be looked at. */
const AHEAD = 8;

const port = parentPort;
if (port === null) throw new Error('audit-worker.ts runs in a worker thread only');

/** Reads, hashes and grows the tree: what takes about half of an audit. */
function* stretches({ folder, upTo, ...due }: AuditWorkerData): Generator<FromAuditWorker> {
  using reader = openLogReader(folder);
  const tree = createTreeCheck(due);
  let draft = createStretch();
  for (const { idx, bytes } of reader.records(0)) {
    if (idx >= upTo) break;
    const leaf = leafHash(bytes);
    tree.add(idx, leaf);
    if (!draft.add(idx, leaf, bytes)) continue;
    yield { op: 'stretch', stretch: draft.finish() };
    draft = createStretch();
  }
  yield { op: 'stretch', stretch: draft.finish() };
  yield { op: 'done', tree: tree.finish() };
}

const source = stretches(workerData as AuditWorkerData);
function sayNext(): void {
  const { value, done } = source.next();
  if (done === true) port?.close();
  else port?.postMessage(value, value.op === 'stretch' ? memoryOf(value.stretch) : []);
}
port.on('message', sayNext);
for (let i = 0; i < AHEAD; i++) sayNext();
