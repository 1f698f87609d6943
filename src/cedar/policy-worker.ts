import { parentPort, workerData } from 'node:worker_threads';
import { SallyportError } from '../base/index.ts';
import type { FromParser, ToParse } from './parse-in-thread.ts';
import { parsePolicySet } from './policy-set.ts';

/** Policies handed over at once: what takes the receiver about 1 ms. */
const BATCH = 50;

const port = parentPort;
if (port === null) throw new Error('policy-worker.ts runs in a worker thread only');
const say = (message: FromParser): void => port.postMessage(message);

/** Parses, then hands the policies over one batch for each message it gets, and ends. */
function start({ sources, catalogue }: ToParse): void {
  const set = parsePolicySet(sources, catalogue);
  if (!set.ok) {
    say({ op: 'problems', problems: set.error });
    return;
  }
  const { policies, model, revision, source, warnings } = set.value;
  let sent = 0;
  port?.on('message', () => {
    const batch = policies.slice(sent, sent + BATCH);
    sent += batch.length;
    say({ op: 'policies', policies: batch, isLast: sent === policies.length });
    if (sent === policies.length) port?.close();
  });
  say({ op: 'parsed', model, revision, source, warnings });
}

try {
  start(workerData as ToParse);
} catch (error) {
  const code = error instanceof SallyportError ? error.code : undefined;
  say({ op: 'threw', code, message: error instanceof Error ? error.message : String(error) });
}
