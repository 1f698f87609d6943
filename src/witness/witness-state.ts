import { createPrivateKey, generateKeyPairSync, hash, type KeyObject } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { isJsonObject, parseStrictJson, SallyportError } from '../base/index.ts';
import {
  type KeyRotation,
  parseCheckpoint,
  parseNote,
  readRotation,
  type TreeHead,
} from '../intent-log/index.ts';

/**
 * What a witness must never forget: its key, and of each log the newest checkpoint it has cosigned. A witness
 * that lost this would cosign a rewritten log, so it refuses to start with a key and without its memory.
 */
export type WitnessState = {
  readonly key: KeyObject;
  newest(origin: string): TreeHead | undefined;
  /** The newest cosigned checkpoint with its signatures. */
  note(originHash: string): string | undefined;
  /** On disk when it returns. */
  keep(origin: string, note: string): void;
  /** Changes of the keys of logs that were taken in. */
  keyChanges(): readonly KeyRotation[];
  /** A statement of a change that was judged; on disk when it returns. */
  keepKeyChange(note: string): void;
};

const KEY = 'witness-key.pem';
const MEMORY = 'witness-state.json';
/** Without it the witness is back at the keys it was started with, and refuses what newer ones have signed. */
const KEYS = 'witness-keys.json';

/** Opens the folder of a witness, making key and memory on first use. Throws `ERR_DATA_FOLDER`, `ERR_KEY_INVALID`. */
export function openWitnessState(folder: string): WitnessState {
  const keyFile = join(folder, KEY);
  const memoryFile = join(folder, MEMORY);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (existsSync(keyFile) !== existsSync(memoryFile)) throw lost(folder);
  if (!existsSync(keyFile)) {
    writeDurably(memoryFile, '{}\n');
    writeDurably(keyFile, newKey());
  }
  const notes = readMemory(memoryFile);
  const keysFile = join(folder, KEYS);
  let statements = existsSync(keysFile) ? readStatements(keysFile) : [];
  let changes = statements.flatMap((note) => readRotation(note) ?? []);
  return {
    key: readKey(keyFile),
    newest: (origin) => headOf(notes.get(hashOf(origin))),
    note: (originHash) => notes.get(originHash),
    keep(origin, note) {
      const kept = new Map(notes).set(hashOf(origin), note);
      writeDurably(memoryFile, `${JSON.stringify(Object.fromEntries(kept))}\n`);
      notes.set(hashOf(origin), note);
    },
    keyChanges: () => changes,
    keepKeyChange(note) {
      const kept = [...statements, note];
      writeDurably(keysFile, `${JSON.stringify(kept)}\n`);
      statements = kept;
      changes = statements.flatMap((each) => readRotation(each) ?? []);
    },
  };
}

/** Under this name a witness publishes what it knows of a log (C2SP tlog-witness, monitoring prefix). */
export function hashOf(origin: string): string {
  return hash('sha256', origin, 'hex');
}

function headOf(note: string | undefined): TreeHead | undefined {
  const parsed = note === undefined ? undefined : parseNote(note);
  return parsed && parseCheckpoint(parsed.text);
}

function readMemory(path: string): Map<string, string> {
  const parsed = parseStrictJson(readFileSync(path, 'utf8'));
  const entries = parsed.ok && isJsonObject(parsed.value) ? Object.entries(parsed.value) : undefined;
  if (entries === undefined) throw damaged(path);
  return new Map(
    entries.map(([origin, note]): [string, string] => {
      if (typeof note !== 'string' || headOf(note) === undefined) throw damaged(path);
      return [origin, note];
    }),
  );
}

function readStatements(path: string): readonly string[] {
  const parsed = parseStrictJson(readFileSync(path, 'utf8'));
  const notes = parsed.ok && Array.isArray(parsed.value) ? (parsed.value as readonly unknown[]) : undefined;
  if (notes === undefined) throw damaged(path);
  return notes.map((note) => {
    if (typeof note !== 'string' || readRotation(note) === undefined) throw damaged(path);
    return note;
  });
}

function newKey(): string {
  return generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
}

function readKey(path: string): KeyObject {
  const mode = statSync(path).mode & 0o777;
  if ((mode & 0o077) !== 0) {
    throw new SallyportError(
      'ERR_KEY_INVALID',
      `${path}: others can read it (mode ${mode.toString(8)}); run "chmod 600 ${path}"`,
    );
  }
  try {
    const key = createPrivateKey(readFileSync(path));
    if (key.asymmetricKeyType === 'ed25519') return key;
  } catch {
    // no cause below: it may quote the key
  }
  throw new SallyportError('ERR_KEY_INVALID', `${path}: must hold an Ed25519 private key in PEM form`);
}

/** After a power cut the file is there whole, old or new. */
function writeDurably(path: string, text: string): void {
  const draft = `${path}.new`;
  const file = openSync(draft, 'w', 0o600);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(draft, path);
  const parent = openSync(join(path, '..'), 'r');
  try {
    fsyncSync(parent);
  } finally {
    closeSync(parent);
  }
}

function lost(folder: string): SallyportError {
  return new SallyportError(
    'ERR_DATA_FOLDER',
    `${folder} must hold both ${KEY} and ${MEMORY}; a witness without its memory must be retired: start a new one in an empty folder and replace its key in all policies`,
  );
}

function damaged(path: string): SallyportError {
  return new SallyportError(
    'ERR_DATA_FOLDER',
    `${path} cannot be read as the memory of a witness; restore it only if it is the newest copy, else retire the witness`,
  );
}
