import type { CallId, RunId } from '../../src/base/index.ts';
import {
  type EmbeddedContentOptions,
  joinContent,
  type LogWithContent,
  openEmbeddedContent,
} from '../../src/storage/index.ts';
import { openLog } from './embedded-log.ts';
import { intent, NOON, outcome } from './records.ts';

/** A log that commits to what is said and keeps it. */
export async function openContentLog(
  folder: string,
  over: Partial<EmbeddedContentOptions> = {},
): Promise<LogWithContent> {
  const log = await openLog(folder);
  const now = () => NOON;
  const content = await openEmbeddedContent({ folder, keep: 'encrypted', maxBytes: 100_000, now, ...over });
  return joinContent(log, content);
}

/** Appends one call that said something and was answered. */
export async function appendCall(
  log: LogWithContent,
  run: RunId,
  call: CallId,
  said: { readonly args: string; readonly result: string; readonly tool?: string },
): Promise<void> {
  const subject = {
    upstream: 'ops',
    method: 'tools/call',
    tool: said.tool ?? 'pay',
    args: { text: said.args },
  };
  const { leaf } = await log.append({ ...intent(run, call), subject });
  await log.append({ ...outcome(run, call, leaf), result: { text: said.result } });
}
