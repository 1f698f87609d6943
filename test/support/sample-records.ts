import type { IntentLog } from '../../src/intent-log/index.ts';
import { intent, newCall, newRun, outcome, refusal, runClose, runOpen } from './records.ts';

/** Appends one record of each type that the life of a run has, a sub-agent among them; gives how many. */
export async function appendSampleRun(log: IntentLog): Promise<number> {
  const [root, child] = [newRun(), newRun()];
  const [first, second, third] = [newCall(), newCall(), newCall()];
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
  await log.append({ type: 'boot', version: '0.1.0', config: 'digest' });
  await log.append({ type: 'policyset.load', revision: 'r1', policies: ['read-inbox'] });
  await log.append({ type: 'toolset.pin', upstream: 'ops', digest: 'd', tools: { list_inbox: 'd1' } });
  await log.append(runOpen(root));
  const { leaf } = await log.append(intent(root, first, { traceparent }));
  await log.append(outcome(root, first, leaf));
  await log.append(runOpen(child, { parent: root, root, depth: 1, purpose: 'lookup' }));
  const inChild = await log.append(intent(child, second));
  await log.append(outcome(child, second, inChild.leaf, { status: 'tool_error', detail: 'no such mail' }));
  await log.append(refusal(child, third));
  await log.append({ type: 'refusal', call: newCall(), early: { reason: 'token_missing' }, micros: 80 });
  await log.append(runClose(child, { by: 'parent', reason: 'task over' }));
  await log.append(runClose(root));
  return 13;
}
