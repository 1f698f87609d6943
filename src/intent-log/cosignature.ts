import { type KeyObject, sign, verify } from 'node:crypto';
import {
  describeKey,
  isKeyName,
  type Note,
  parseKey,
  signatureLine,
  type VerifierKey,
} from './signed-note.ts';

/** Cosigns checkpoints in the name of one witness (C2SP tlog-cosignature, Ed25519). */
export type Cosigner = {
  /** `<name>+<key id>+<base64 key>`: what goes into a policy file. */
  readonly verifierKey: string;
  /** The signature line for the text of a checkpoint. `time` in seconds since the epoch, not 0. */
  cosign(text: string, time: number): string;
};

const WITNESS_KEY = 0x04;
const TIME_BYTES = 8;

/** Binds an Ed25519 private key to the name of a witness. */
export function createCosigner(name: string, privateKey: KeyObject): Cosigner {
  if (!isKeyName(name)) throw new TypeError('name must be a name without spaces and plus signs');
  const { text: verifierKey, id } = describeKey(name, WITNESS_KEY, privateKey);
  return {
    verifierKey,
    cosign(text, time) {
      const stamp = Buffer.alloc(TIME_BYTES);
      stamp.writeBigUInt64BE(BigInt(time));
      const signature = sign(null, message(text, BigInt(time)), privateKey);
      return signatureLine(name, id, Buffer.concat([stamp, signature]));
    },
  };
}

/** Reads a witness's verifier key; undefined when it is no Ed25519 cosigner key. */
export function parseWitnessKey(text: string): VerifierKey | undefined {
  return parseKey(text, WITNESS_KEY);
}

/**
 * The time in seconds since the epoch at which the witness cosigned the note; undefined when it did not. Of
 * several signatures of the key each must hold, as for any note.
 */
export function cosignedAt({ text, signatures }: Note, key: VerifierKey): number | undefined {
  const mine = signatures.filter(({ name, id }) => name === key.name && id === key.id);
  const times = mine.map(({ bytes }) => {
    if (bytes.length <= TIME_BYTES) return 0n;
    const time = bytes.readBigUInt64BE();
    return verify(null, message(text, time), key.key, bytes.subarray(TIME_BYTES)) ? time : 0n;
  });
  if (times.length === 0 || times.includes(0n)) return undefined;
  const latest = times.reduce((a, b) => (a > b ? a : b));
  return latest <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(latest) : undefined;
}

function message(text: string, time: bigint): Buffer {
  return Buffer.from(`cosignature/v1\ntime ${time}\n${text}`);
}
