import { join } from 'node:path';
import { type OpenGateway, openGateway } from '../../src/cli/open-gateway.ts';
import { createLogger, parseConfig } from '../../src/gateway/index.ts';
import { decodeRecord, type LogRecord } from '../../src/intent-log/index.ts';
import { openLogReader } from '../../src/storage/index.ts';
import { type OpsSetting, prepareOpsGateway } from './ops-gateway.ts';

/** A gateway of this process with the ops desk behind it. */
export type OpenOpsGateway = OpsSetting & { readonly gateway: OpenGateway };

export async function openOpsGateway(): Promise<OpenOpsGateway> {
  const setting = await prepareOpsGateway();
  const gateway = await openGateway(parseConfig(setting.config, 'test'), { log: createLogger('silent') });
  return {
    ...setting,
    gateway,
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]();
      await setting[Symbol.asyncDispose]();
    },
  };
}

/** Every record in the log, those that were durable when it was called. */
export function readRecords(data: string): LogRecord[] {
  using reader = openLogReader(data);
  return [...reader.records(0)].map(({ idx, bytes }) => {
    const record = decodeRecord(bytes);
    if (!record.ok) throw new Error(`${join(data, 'log.db')}: record ${idx}: ${record.error.reason}`);
    return record.value;
  });
}
