import type { CallId, RunId } from '../../src/base/index.ts';
import type { ContentOptions, EmbeddedLog, EmbeddedLogOptions } from '../../src/storage/index.ts';
import { openLog } from './embedded-log.ts';
import { intent, outcome } from './records.ts';

/** A log that commits to what is said and keeps it. */
export function openContentLog(
  folder: string,
  over: Partial<ContentOptions & EmbeddedLogOptions> = {},
): Promise<EmbeddedLog> {
  const { keep = 'encrypted', maxBytes = 100_000, ...options } = over;
  return openLog(folder, { ...options, content: { keep, maxBytes } });
}

/** Appends one call that said something and was answered. */
export async function appendCall(
  log: EmbeddedLog,
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
