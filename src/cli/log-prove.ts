import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SallyportError } from '../base/index.ts';
import {
  formatTlogProof,
  leafHash,
  type ProofDefect,
  parseTlogPolicy,
  parseTlogProof,
  verifyTlogProof,
} from '../intent-log/index.ts';
import { openLogReader } from '../storage/index.ts';
import { type LogCommand, printable } from './log.ts';

export type CheckProofCommand = {
  /** Files. */
  readonly record: string;
  readonly proof: string;
  readonly policy: string;
  readonly out: (line: string) => void;
};

/**
 * Writes each record of a call or a run with a proof that it is in the signed log. Exit code 0, or 1 when the
 * log has no such records or has not signed for one of them yet.
 */
export function logProve(id: string, { folder, to, out }: LogCommand & { readonly to: string }): number {
  using reader = openLogReader(folder);
  const places = reader.placesOf(id);
  if (places.length === 0) {
    out(`no records of ${printable(id)}; "sallyport log show" prints the calls of a run`);
    return 1;
  }
  mkdirSync(to, { recursive: true });
  for (const idx of places) {
    const proven = reader.prove(idx);
    if (proven === undefined) {
      out(`record ${idx} is not signed for yet; try again in a second`);
      return 1;
    }
    const path = join(to, `record-${idx}`);
    writeFileSync(`${path}.json`, proven.bytes);
    writeFileSync(`${path}.tlog-proof`, formatTlogProof(proven.proof));
    out(`${path}.json  ${path}.tlog-proof`);
  }
  return 0;
}

/** Says whether a record is in a log that the policy believes. Exit code 0, 1 not proven, 2 cannot be decided. */
export function logCheckProof({ record, proof, policy, out }: CheckProofCommand): number {
  const believed = parseTlogPolicy(readText(policy));
  if (!believed.ok) throw new SallyportError('ERR_CONFIG_INVALID', `${policy}: ${believed.error}`);
  const parsed = parseTlogProof(readText(proof));
  const leaf = leafHash(readBytes(record));
  const checked = parsed === undefined ? MALFORMED : verifyTlogProof(leaf, parsed, believed.value);
  if (checked.ok) {
    out(`proven: in the tree of ${printable(checked.value.origin)}, size ${checked.value.size}`);
    return 0;
  }
  const [code, what] = DEFECTS[checked.error];
  out(`${code === 1 ? 'NOT PROVEN' : 'cannot be decided'}: ${what}`);
  return code;
}

const MALFORMED = { ok: false, error: 'malformed' } as const;

const DEFECTS: Readonly<Record<ProofDefect, readonly [1 | 2, string]>> = {
  malformed: [1, 'the proof is not a .tlog-proof file'],
  unknown_log: [2, 'the policy does not name the log of this proof'],
  bad_signature: [1, 'the checkpoint is not signed with the key of the log'],
  not_in_tree: [
    1,
    'the record is not the one in the signed tree: it was changed, or the proof is of another',
  ],
  not_witnessed: [2, 'too few witnesses of the policy have seen the checkpoint'],
};

function readText(path: string): string {
  return Buffer.from(readBytes(path)).toString('utf8');
}

function readBytes(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new SallyportError('ERR_DATA_FOLDER', `${path} cannot be read (${code}); name a readable file`, {
      cause: error,
    });
  }
}
