import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import {
  type CheckpointSigner,
  createCheckpointSigner,
  encodeBody,
  formatRotation,
  type LogSource,
  leafHash,
  parseVerifierKey,
  type RecordBody,
  type RotationStatement,
  type StoredCheckpoint,
  sealRecord,
  treeHash,
  type VerifierKey,
} from '../../src/intent-log/index.ts';

/** A log as it would lie on a disk that anyone may write to: tests change `records` and `notes` as they like. */
export class LogInMemory implements LogSource {
  stored: { idx: number; bytes: Uint8Array }[] = [];
  notes: StoredCheckpoint[] = [];
  readonly key: VerifierKey;
  readonly #signer: CheckpointSigner;
  readonly #heads = new Map<string, { seq: number; leaf: string }>();

  constructor(origin = 'agents.example.org/log', signer = newSigner(origin)) {
    this.#signer = signer;
    this.key = parseVerifierKey(signer.verifierKey) as VerifierKey;
  }

  /** Appends as the log would; gives the leaf hash. */
  append(body: RecordBody): string {
    const { strand, json } = encodeBody(body);
    const head = this.#heads.get(strand);
    const seq = head === undefined ? 0 : head.seq + 1;
    const idx = this.stored.length;
    const at = '2026-03-01T12:00:00.000Z';
    const bytes = Buffer.from(sealRecord({ idx, at, strand, seq, prev: head?.leaf ?? '' }, json));
    const leaf = leafHash(bytes);
    this.#heads.set(strand, { seq, leaf });
    this.stored.push({ idx, bytes });
    return leaf;
  }

  /** Signs a checkpoint over what is there now. */
  sign(signer = this.#signer): string {
    const head = { size: this.stored.length, root: treeHash(this.leaves()) };
    const note = signer.sign(head);
    this.notes.push({ size: head.size, note });
    return note;
  }

  /** Appends a change of keys as the log would; gives the statement that both keys have signed. */
  changeKey(from: KeyObject, to: KeyObject, over: Partial<RotationStatement> = {}): string {
    const size = this.stored.length;
    const note = formatRotation(
      { origin: this.key.name, size, root: treeHash(this.leaves()), ...over },
      { from, to },
    );
    const { verifierKey: old } = createCheckpointSigner(this.key.name, from);
    const { verifierKey: next } = createCheckpointSigner(this.key.name, to);
    this.append({ type: 'key.rotate', from: old, to: next, note, until: 0, by: 'operator', reason: 'test' });
    return note;
  }

  leaves(): string[] {
    return this.stored.map(({ bytes }) => leafHash(bytes));
  }

  records(from: number): Iterable<{ idx: number; bytes: Uint8Array }> {
    return this.stored.filter(({ idx }) => idx >= from);
  }

  checkpoints(): Iterable<StoredCheckpoint> {
    return this.notes;
  }
}

export function newSigner(origin: string): CheckpointSigner {
  const { privateKey } = generateKeyPairSync('ed25519');
  return createCheckpointSigner(origin, privateKey);
}

/** A signer whose key is fixed, for comparing outputs between runs. */
export function fixedSigner(origin: string): CheckpointSigner {
  const seed = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), Buffer.alloc(32, 7)]);
  return createCheckpointSigner(origin, createPrivateKey({ key: seed, format: 'der', type: 'pkcs8' }));
}
