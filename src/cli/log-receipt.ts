import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseStrictJson, SallyportError } from '../base/index.ts';
import {
  type CallReceipt,
  formatTlogProof,
  type Held,
  leafHash,
  parseReceipt,
  parseTlogPolicy,
  parseTlogProof,
  type ReceiptDefect,
  verifyHeld,
} from '../intent-log/index.ts';
import { openLogReader } from '../storage/index.ts';
import type { LogCommand } from './log.ts';
import { printable } from './printable.ts';

type Part = 'intent' | 'outcome';

export type VerifyReceiptCommand = {
  /** Files. */
  readonly receipt: string;
  readonly policy: string;
  /** Folder with the proofs that `logProveReceipt` wrote. */
  readonly proofs: string;
  readonly out: (line: string) => void;
};

/**
 * Turns a receipt into proofs that the records it names are in the signed log. Exit code 0, or 1 when the log does not
 * hold them: then it is not what it was when the receipt was given.
 */
export function logProveReceipt(
  file: string,
  { folder, to, out }: LogCommand & { readonly to: string },
): number {
  const receipt = readReceipt(file);
  using reader = openLogReader(folder);
  const places = reader.placesOf(receipt.call);
  mkdirSync(to, { recursive: true });
  for (const [part, held] of partsOf(receipt)) {
    const idx = held.index ?? places.find((place) => leafAt(place) === held.leaf);
    if (idx === undefined || leafAt(idx) !== held.leaf) {
      out(`the ${part} of call ${printable(receipt.call)} is NOT in this log: records are gone or changed`);
      return 1;
    }
    const proven = reader.prove(idx);
    if (proven === undefined) {
      out(`record ${idx} is not signed for yet; try again in a second`);
      return 1;
    }
    const path = join(to, `${part}.tlog-proof`);
    writeFileSync(path, formatTlogProof(proven.proof));
    out(path);
  }
  return 0;

  function leafAt(idx: number): string | undefined {
    for (const stored of reader.records(idx)) return stored.idx === idx ? leafHash(stored.bytes) : undefined;
    return undefined;
  }
}

/**
 * Says whether the records that a receipt names are in a log that the policy believes; needs no log and no network.
 * Exit code 0, 1 not proven, 2 cannot be decided.
 */
export function logVerifyReceipt({ receipt: file, policy, proofs, out }: VerifyReceiptCommand): number {
  const receipt = readReceipt(file);
  const believed = parseTlogPolicy(readText(policy));
  if (!believed.ok) throw new SallyportError('ERR_CONFIG_INVALID', `${policy}: ${believed.error}`);
  let worst: 0 | 1 | 2 = 0;
  for (const [part, held] of partsOf(receipt)) {
    const proof = parseTlogProof(readText(join(proofs, `${part}.tlog-proof`)));
    const { origin } = receipt;
    const checked =
      proof === undefined ? MALFORMED : verifyHeld(held, proof, { origin, policy: believed.value });
    const [code, what] = checked.ok
      ? ([0, `in the tree of size ${checked.value}`] as const)
      : DEFECTS[checked.error];
    const answer = ['proven', 'NOT PROVEN', 'cannot be decided'][code];
    out(`${part} of call ${printable(receipt.call)}: ${answer}, ${what}`);
    if (code === 1 || worst === 0) worst = code; // not proven weighs more than not decided
  }
  return worst;
}

function partsOf({ intent, outcome }: CallReceipt): readonly (readonly [Part, Held])[] {
  return outcome === undefined
    ? [['intent', intent]]
    : [
        ['intent', intent],
        ['outcome', outcome],
      ];
}

const MALFORMED = { ok: false, error: 'malformed' } as const;

const DEFECTS: Readonly<Record<ReceiptDefect, readonly [1 | 2, string]>> = {
  malformed: [1, 'the proof is not a .tlog-proof file'],
  other_record: [1, 'the proof is of another place or log than the receipt names'],
  unknown_log: [2, 'the policy does not name the log of this proof'],
  bad_signature: [1, 'the checkpoint is not signed with the key of the log'],
  not_in_tree: [1, 'the record that the receipt names is not in the signed tree'],
  not_witnessed: [2, 'too few witnesses of the policy have seen the checkpoint'],
};

function readReceipt(path: string): CallReceipt {
  const parsed = parseStrictJson(readText(path).trim());
  const receipt = parsed.ok ? parseReceipt(parsed.value) : undefined;
  if (receipt !== undefined) return receipt;
  throw new SallyportError(
    'ERR_CONFIG_INVALID',
    `${path}: must be a result with a receipt in its _meta, the receipt, or a line of a ledger`,
  );
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new SallyportError('ERR_DATA_FOLDER', `${path} cannot be read (${code}); name a readable file`, {
      cause: error,
    });
  }
}
