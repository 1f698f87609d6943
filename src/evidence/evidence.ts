import {
  type CallId,
  err,
  isJsonObject,
  ok,
  parseCallId,
  parseRunId,
  parseStrictJson,
  type Result,
  type RunId,
} from '../base/index.ts';
import { decodeRecord, type LogRecord, type Part, parseTlogProof } from '../intent-log/index.ts';
import { renderSummary } from './summary.ts';
import type { TarFile } from './tar.ts';

/** A record with its proof, both as they were published. */
export type ProvenRecord = {
  readonly idx: number;
  readonly bytes: Uint8Array;
  /** Text of a C2SP tlog-proof. */
  readonly proof: string;
};

/** What a part of a call said, with the key that opens its commitment and no other. */
export type DisclosedPart = {
  readonly call: CallId;
  readonly part: Part;
  /** base64url. */
  readonly key: string;
  readonly text: string;
};

/** Everything about one delegation tree, for somebody who has nothing else. */
export type Evidence = {
  /** The run at the top. */
  readonly root: RunId;
  /** Public key of the log in C2SP form, as the log itself says. */
  readonly verifierKey: string;
  /** In log order. */
  readonly records: readonly ProvenRecord[];
  /** Policy sets and tool definitions by digest (SHA-256, base64url). */
  readonly definitions: ReadonlyMap<string, string>;
  readonly content: readonly DisclosedPart[];
};

const FORMAT = 'sallyport-evidence/1';
const README = `Evidence about one agent run and the runs it delegated to, from an intent log.

  summary.html    to read; says what the records say and nothing else
  records.jsonl   the records, byte for byte, one a line
  proofs/         for each record a proof that it is in the signed log (C2SP tlog-proof)
  log-public-key  the key of the log by its own word: compare it with the one you were given
  definitions/    policies and tool definitions that were in force, each under its SHA-256
  content.jsonl   arguments and results, as far as they were disclosed

Check it:  sallyport log verify BUNDLE --policy POLICY
`;

/** The files of a bundle; the same evidence makes the same files. */
export function toFiles(evidence: Evidence): TarFile[] {
  const { root, verifierKey, records, definitions, content } = evidence;
  const text = (name: string, body: string): TarFile => ({ name, bytes: Buffer.from(body) });
  const lines = records.flatMap(({ bytes }) => [bytes, NEWLINE]);
  const digests = [...definitions.keys()].sort();
  return [
    text('README.txt', README),
    text('bundle.json', `${JSON.stringify({ format: FORMAT, root })}\n`),
    text('summary.html', renderSummary(root, decodeAll(records), definitions, content)),
    text('log-public-key', `${verifierKey}\n`),
    { name: 'records.jsonl', bytes: Buffer.concat(lines) },
    ...records.map(({ idx, proof }) => text(proofName(idx), proof)),
    ...digests.map((digest) => text(`definitions/${digest}`, definitions.get(digest) ?? '')),
    ...(content.length === 0 ? [] : [text('content.jsonl', content.map(toLine).join(''))]),
  ];
}

/** Reads the files of a bundle. Says nothing about whether any of it is true. */
export function fromFiles(files: readonly TarFile[]): Result<Evidence, string> {
  const byName = new Map(files.map(({ name, bytes }) => [name, bytes]));
  const text = (name: string): string => Buffer.from(byName.get(name) ?? []).toString('utf8');
  const manifest = parseStrictJson(text('bundle.json').trim());
  const fields = manifest.ok && isJsonObject(manifest.value) ? manifest.value : {};
  const root = parseRunId(fields['root']);
  if (fields['format'] !== FORMAT || root === undefined)
    return err('bundle.json is not of an evidence bundle');
  const records = splitLines(byName.get('records.jsonl') ?? new Uint8Array()).map((bytes) => {
    const decoded = decodeRecord(bytes);
    const idx = decoded.ok ? decoded.value.idx : -1;
    return { idx, bytes, proof: text(proofName(idx)) };
  });
  const unreadable = records.findIndex(({ idx }) => idx < 0);
  if (unreadable >= 0) return err(`line ${unreadable + 1} of records.jsonl is not a record`);
  const unproven = records.find(({ proof }) => parseTlogProof(proof) === undefined);
  if (unproven !== undefined) return err(`${proofName(unproven.idx)} is missing or is not a proof`);
  const content = text('content.jsonl').split('\n').slice(0, -1).map(parseLine);
  const complete = content.filter((part) => part !== undefined);
  if (complete.length < content.length) return err('content.jsonl holds a line that is no disclosed content');
  const definitions = files.flatMap(({ name, bytes }) => {
    const digest = /^definitions\/(.*)$/.exec(name)?.[1];
    return digest === undefined ? [] : [[digest, Buffer.from(bytes).toString('utf8')] as const];
  });
  const verifierKey = text('log-public-key').trim();
  return ok({ root, verifierKey, records, definitions: new Map(definitions), content: complete });
}

/** The records that can be read. */
export function decodeAll(records: readonly ProvenRecord[]): LogRecord[] {
  return records.flatMap(({ bytes }) => {
    const decoded = decodeRecord(bytes);
    return decoded.ok ? [decoded.value] : [];
  });
}

const NEWLINE = Buffer.from('\n');
const proofName = (idx: number): string => `proofs/${idx}.tlog-proof`;

function splitLines(bytes: Uint8Array): Uint8Array[] {
  const lines: Uint8Array[] = [];
  for (let from = 0; from < bytes.length; ) {
    const end = bytes.indexOf(10, from);
    lines.push(bytes.subarray(from, end < 0 ? bytes.length : end));
    from = end < 0 ? bytes.length : end + 1;
  }
  return lines;
}

function toLine({ call, part, key, text }: DisclosedPart): string {
  return `${JSON.stringify({ call, part, key, text })}\n`;
}

function parseLine(line: string): DisclosedPart | undefined {
  const parsed = parseStrictJson(line);
  if (!parsed.ok || !isJsonObject(parsed.value)) return undefined;
  const { part, key, text } = parsed.value;
  const call = parseCallId(parsed.value['call']);
  if (call === undefined || (part !== 'args' && part !== 'result')) return undefined;
  return typeof key === 'string' && typeof text === 'string' ? { call, part, key, text } : undefined;
}
