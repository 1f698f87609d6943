import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { SallyportError, VERSION } from '../base/index.ts';
import {
  type Cursor,
  createFormat,
  createHttpReceiver,
  exportRecords,
  type FormatName,
  openFileReceiver,
  openRecords,
  type Receiver,
  readCursorFile,
  requireSameLog,
  writeCursorFile,
} from '../export/index.ts';
import { openLogReader } from '../storage/index.ts';

export type ExportFlags = {
  readonly data: string;
  readonly format: string;
  /** A file, or a URL that takes POST. */
  readonly to: string;
  readonly cursor?: string;
  readonly follow?: true;
  /** File with one `Name: value` a line, sent with each request. */
  readonly headers?: string;
};

export type ExportCommand = ExportFlags & {
  readonly complain: (line: string) => void;
  /** Aborted when the user wants it to end. */
  readonly signal: AbortSignal;
};

const FORMATS: readonly string[] = ['jsonl', 'ocsf', 'otlp'] satisfies FormatName[];
const POLL = 500;
const TIMEOUT = 30_000;

/**
 * Sends the records of a log to a file or receiver from where the last export ended, and with `--follow` those
 * that come. It reads the log beside the gateway and cannot hold it up. Exit code 0, or 1 when it was told to stop
 * before everything that was there was delivered.
 */
export async function exportLog(command: ExportCommand): Promise<number> {
  const { data, to, follow, signal, complain } = command;
  const name = formatName(command.format);
  const path = command.cursor ?? `${isUrl(to) ? `${data}/export-${name}` : to}.cursor`;
  let cursor = readCursorFile(path);
  using reader = openLogReader(data);
  requireSameLog(reader, cursor);
  const origin = reader.verifierKey?.split('+')[0] ?? 'unknown';
  const format = createFormat(name, cursor, openRecords(reader, cursor), { origin, version: VERSION });
  await using receiver = openReceiver(command, cursor);
  const deps = {
    format,
    receiver,
    keep: (reached: Cursor) => writeCursorFile(path, reached),
    complain: (error: unknown, pause: number) =>
      complain(`${reasonOf(error)}; next try in ${pause / 1000} s`),
    sleep: pause,
  };
  do {
    cursor = await exportRecords(reader, cursor, signal, deps);
    if (follow === true && !signal.aborted) await pause(POLL, signal);
  } while (follow === true && !signal.aborted);
  complain(`exported up to record ${cursor.next} of ${reader.end()}`);
  return cursor.next >= reader.end() ? 0 : 1;
}

function formatName(text: string): FormatName {
  if (FORMATS.includes(text)) return text as FormatName;
  throw new SallyportError('ERR_CONFIG_INVALID', `--format must be one of ${FORMATS.join(', ')}`);
}

function openReceiver({ to, headers }: ExportCommand, { length }: Cursor): Receiver {
  if (!isUrl(to)) return openFileReceiver(to, length);
  return createHttpReceiver({
    url: to,
    headers: headers === undefined ? {} : readHeaders(headers),
    timeoutMs: TIMEOUT,
    fetch: globalThis.fetch,
  });
}

/** A file rather than a flag: what is on a command line, every user of the machine can read. */
function readHeaders(path: string): Record<string, string> {
  const lines = readFileSync(path, 'utf8').split('\n');
  return Object.fromEntries(
    lines.flatMap((line, i) => {
      if (line.trim() === '') return [];
      const parts = /^([A-Za-z0-9-]+):\s*(\S.*)$/.exec(line.trim());
      if (parts !== null) return [[parts[1] as string, parts[2] as string]];
      throw new SallyportError('ERR_CONFIG_INVALID', `${path}: line ${i + 1} must be "Name: value"`);
    }),
  );
}

function isUrl(to: string): boolean {
  return /^https?:\/\//.test(to);
}

async function pause(millis: number, signal: AbortSignal): Promise<void> {
  await sleep(millis, undefined, { signal }).catch(() => undefined);
}

function reasonOf(error: unknown): string {
  if (error instanceof SallyportError) return error.message;
  return error instanceof Error && error.name === 'TimeoutError'
    ? 'the receiver did not answer in time'
    : 'the receiver cannot be reached';
}
