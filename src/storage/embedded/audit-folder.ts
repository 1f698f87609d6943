import { SallyportError, startThread } from '../../base/index.ts';
import {
  type AuditOptions,
  type AuditReport,
  composeReport,
  createFindingList,
  createRecordsCheck,
  readDueCheckpoints,
  readKeys,
  type TreeChecked,
} from '../../intent-log/index.ts';
import { eachOf } from './audit-stretch.ts';
import type { AuditWorkerData, FromAuditWorker } from './audit-worker.ts';
import type { LogReader } from './log-reader.ts';

/**
 * The audit of a data folder on two cores: a thread reads, hashes and grows the tree, this one follows strands and
 * pairs intents with outcomes. The answer is that of `auditLog`.
 */
export async function auditDataFolder(
  folder: string,
  reader: LogReader,
  options: AuditOptions,
): Promise<AuditReport> {
  const read = createFindingList();
  const keys = readKeys(reader, options.keys, options.upTo);
  const due = readDueCheckpoints(reader.checkpoints(), options, keys, read.report);
  const data: AuditWorkerData = { ...due, folder, upTo: options.upTo ?? Number.POSITIVE_INFINITY };
  const records = createRecordsCheck();
  const worker = startThread('audit-worker', import.meta.url, data);
  const done = Promise.withResolvers<TreeChecked>();
  worker.on('error', done.reject);
  worker.on('exit', () => {
    done.reject(
      new SallyportError('ERR_LOG_UNAVAILABLE', 'the thread that read the log ended early; try again'),
    );
  });
  worker.on('message', (message: FromAuditWorker) => {
    if (message.op === 'done') return done.resolve(message.tree);
    eachOf(message.stretch, records.add);
    return worker.postMessage('next');
  });
  try {
    return composeReport(reader, { read: read.found, keys }, await done.promise, records.finish());
  } finally {
    await worker.terminate();
  }
}
