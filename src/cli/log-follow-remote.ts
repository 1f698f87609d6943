import { setTimeout as sleep } from 'node:timers/promises';
import { SallyportError } from '../base/index.ts';
import { decodeRecord, fits, type LogRecord, leafHash } from '../intent-log/index.ts';
import { createRedisStream, type LogStream, type StreamEntry } from '../storage/index.ts';
import { copySettings } from './copy-settings.ts';
import { loadConfig } from './load-config.ts';
import { filterOf, lineOf } from './log-query.ts';
import { originOf } from './open-gateway.ts';
import { asciiJson, printable } from './printable.ts';

/** A log that is followed through its second copy. */
export type FollowedStream = { readonly origin: string; readonly stream: Pick<LogStream, 'end' | 'read'> };

export type FollowStreams = {
  readonly streams: readonly FollowedStream[];
  /** Of each record that fits where the log stood. */
  readonly show: (origin: string, record: LogRecord) => void;
  /** Of each that does not. */
  readonly warn: (line: string) => void;
  readonly signal: AbortSignal;
  readonly pollMs: number;
};

const STRETCH = 500;

/**
 * Hands on the records of several logs as they arrive in their streams, each in its own order, from now on. Checks as
 * it goes that none is missing and each follows the one before it in its strand; that they are in the signed tree is
 * for the audit to say. Gives how many did not fit.
 */
export async function followStreams({ streams, show, warn, signal, pollMs }: FollowStreams): Promise<number> {
  const followed = streams.map(({ origin, stream }) => ({ origin, stream, check: createLinkCheck() }));
  const next = new Map<string, number>();
  let broken = 0;
  while (!signal.aborted) {
    for (const { origin, stream, check } of followed) {
      try {
        const from = next.get(origin) ?? (await stream.end());
        next.set(origin, from);
        for (const entry of await stream.read(from, STRETCH)) {
          const found = check(entry, next.get(origin) ?? from);
          next.set(origin, entry.idx + 1);
          if (typeof found !== 'string') {
            show(origin, found);
            continue;
          }
          broken++;
          warn(`${origin}: ${found}`);
        }
      } catch (error) {
        warn(`${origin}: ${(error as Error).message}`);
      }
    }
    await sleep(pollMs, undefined, { signal }).catch(() => undefined);
  }
  return broken;
}

/** Gives the record of an entry, or why it does not follow what was seen of its log. */
function createLinkCheck(): (entry: StreamEntry, due: number) => LogRecord | string {
  const heads = new Map<string, { readonly seq: number; readonly leaf: string }>();
  return ({ idx, bytes }, due) => {
    if (idx !== due) {
      heads.clear();
      return `records ${due} to ${idx - 1} are missing`;
    }
    const decoded = decodeRecord(bytes);
    if (!decoded.ok) return `record ${idx} cannot be read (${decoded.error.reason})`;
    const record = decoded.value;
    const head = heads.get(record.strand);
    heads.set(record.strand, { seq: record.seq, leaf: leafHash(bytes) });
    if (record.idx !== idx) return `record ${idx} says it is record ${record.idx}`;
    const isFirst = record.seq === 0;
    if (isFirst !== (record.prev === ''))
      return `record ${idx} is no beginning of its strand and no part of it`;
    if (head !== undefined && (record.seq !== head.seq + 1 || record.prev !== head.leaf)) {
      return `record ${idx} does not follow the record before it in strand ${record.strand}`;
    }
    return record;
  };
}

export type FollowRemoteCommand = {
  readonly config: string | undefined;
  /** Names of logs; that of the configuration when there is none. */
  readonly origins: readonly string[];
  readonly json?: boolean;
  readonly out: (line: string) => void;
  readonly signal: AbortSignal;
};

const POLL = 300;

/** Prints records of one or several logs as they reach their second copies. Exit code 0, or 1 when one did not fit. */
export async function logFollowRemote(text: string, command: FollowRemoteCommand): Promise<number> {
  const { out, json, signal } = command;
  const filter = filterOf(text);
  await using opened = new AsyncDisposableStack();
  const streams = await openStreams(command);
  for (const { stream } of streams) opened.use(stream);
  const broken = await followStreams({
    streams,
    show: (origin, record) => {
      if (fits(record, filter))
        out(json === true ? asciiJson({ origin, record }) : lineOf({ record, origin }));
    },
    warn: (line) => out(`NOT AS IT SHOULD BE  ${printable(line)}`),
    signal,
    pollMs: POLL,
  });
  return broken === 0 ? 0 : 1;
}

/** The streams that a configuration leads to: of its own log, or of others by name. */
async function openStreams({ config: file, origins }: FollowRemoteCommand) {
  if (file === undefined) {
    throw new SallyportError('ERR_CONFIG_INVALID', '--config must name a configuration with log.remote');
  }
  const config = await loadConfig(file);
  const copy = copySettings(config.log, process.env);
  if (copy === undefined) {
    throw new SallyportError('ERR_CONFIG_INVALID', `${file}: log.remote must name the second copy`);
  }
  const names = [...new Set(origins.length === 0 ? [originOf(config)] : origins)];
  return names.map((origin) => ({ origin, stream: createRedisStream({ ...copy, origin }) }));
}
