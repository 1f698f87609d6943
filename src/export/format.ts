import type { JsonObject } from '../base/index.ts';
import type { Hash, LogRecord } from '../intent-log/index.ts';
import { type OcsfSource, toOcsf } from './ocsf.ts';
import { type OpenSpans, takeSpan, tracesRequest } from './otlp.ts';

/** A record as it lies in the log. */
export type ExportedRecord = { readonly record: LogRecord; readonly bytes: Uint8Array; readonly leaf: Hash };

/** What a format must remember from one batch to the next, besides its place in the log. */
export type FormatMemory = {
  /** Fingerprint of the last OCSF event. */
  readonly fingerprint?: string;
  /** Records of runs and calls that are not over: read again after a restart. */
  readonly open: readonly number[];
};

/** Turns records into what a receiver is sent: one text a batch; undefined when there is nothing to say. */
export type Format = {
  readonly contentType: string;
  encode(batch: readonly ExportedRecord[]): string | undefined;
  memory(): FormatMemory;
};

export type FormatName = 'jsonl' | 'ocsf' | 'otlp';

/** Makes a format that goes on from what it remembered; `open` are the records that its memory names. */
export function createFormat(
  name: FormatName,
  memory: FormatMemory,
  open: readonly LogRecord[],
  source: OcsfSource,
): Format {
  switch (name) {
    case 'jsonl':
      return {
        contentType: 'application/x-ndjson',
        encode: (batch) => lines(batch.map(({ bytes }) => Buffer.from(bytes).toString('utf8'))),
        memory: () => ({ open: [] }),
      };
    case 'ocsf':
      return createOcsf(memory.fingerprint, source);
    case 'otlp':
      return createOtlp(open, source);
  }
}

function createOcsf(start: string | undefined, source: OcsfSource): Format {
  let fingerprint = start;
  return {
    contentType: 'application/x-ndjson',
    encode: (batch) =>
      lines(
        batch.map(({ record, leaf }) => {
          const made = toOcsf(record, leaf, fingerprint, source);
          ({ fingerprint } = made);
          return JSON.stringify(made.event);
        }),
      ),
    memory: () => ({ open: [], ...(fingerprint === undefined ? {} : { fingerprint }) }),
  };
}

function createOtlp(past: readonly LogRecord[], { version }: OcsfSource): Format {
  const open: OpenSpans = { runs: new Map(), calls: new Map() };
  for (const record of past) takeSpan(record, open);
  return {
    contentType: 'application/json',
    encode(batch) {
      const spans = batch
        .map(({ record }) => takeSpan(record, open))
        .filter((span): span is JsonObject => !!span);
      return spans.length === 0 ? undefined : `${JSON.stringify(tracesRequest(spans, version))}\n`;
    },
    memory: () => ({ open: [...open.runs.values(), ...open.calls.values()].map(({ idx }) => idx) }),
  };
}

function lines(texts: readonly string[]): string {
  return texts.map((text) => `${text}\n`).join('');
}
