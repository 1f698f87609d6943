import { accessSync, closeSync, constants, mkdirSync, openSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { SallyportError } from '../../base/index.ts';
import { isSqliteError, SQLITE_BUSY } from './sqlite.ts';

/** Where things lie in a data folder. */
export type DataFolder = {
  readonly path: string;
  /** Records, checkpoints and what is kept of arguments and results, sealed: the log itself. */
  readonly log: string;
  /** Derived from the log; may be deleted while no gateway runs. */
  readonly index: string;
  /** The wrapped data keys of runs; without them content stays shut. */
  readonly contentKeys: string;
  /** The newest checkpoint as a file, to be copied to where the gateway's host cannot write. */
  readonly checkpoint: string;
  /** The newest checkpoint that a witness has cosigned. */
  readonly cosigned: string;
  readonly verifierKey: string;
  readonly keys: string;
};

/** Names the files of a data folder without looking at it. */
export function dataFolderAt(path: string): DataFolder {
  return {
    path,
    log: join(path, 'log.db'),
    index: join(path, 'index.db'),
    contentKeys: join(path, 'content-keys.db'),
    checkpoint: join(path, 'checkpoint'),
    cosigned: join(path, 'checkpoint.cosigned'),
    verifierKey: join(path, 'log-public-key'),
    keys: join(path, 'keys'),
  };
}

/** Makes a data folder ready for writing, creating it with mode 0700. Throws `ERR_DATA_FOLDER`. */
export function prepareDataFolder(path: string): DataFolder {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    if (!statSync(path).isDirectory()) throw inTheWay(path);
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
    mkdirSync(join(path, 'keys'), { recursive: true, mode: 0o700 });
  } catch (error) {
    throw folderError(path, error);
  }
  return dataFolderAt(path);
}

/**
 * Takes the folder for one writer. The lock is the operating system's on an open file: it ends with the
 * process, however that ends. Throws `ERR_DATA_FOLDER` when another gateway has it.
 */
export function lockDataFolder(folder: DataFolder): Disposable {
  const path = join(folder.path, 'writer.lock');
  let lock: DatabaseSync | undefined;
  try {
    makePrivateFile(path);
    lock = new DatabaseSync(path, { timeout: 0 });
    lock.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    lock?.close();
    if (!isSqliteError(error, SQLITE_BUSY)) throw folderError(folder.path, error);
    throw new SallyportError(
      'ERR_DATA_FOLDER',
      `${folder.path} is in use by another gateway; stop that one or set "data" to a folder of its own`,
    );
  }
  const held = lock;
  return { [Symbol.dispose]: () => held.close() };
}

/**
 * Creates a file that only its owner can read, if it is not there; SQLite gives its side files the same mode.
 * A file that is there is not even opened: closing it would drop this process's locks on it.
 */
export function makePrivateFile(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

/** Says which path is the trouble and what to do about it. */
export function folderError(path: string, cause: unknown): SallyportError {
  if (cause instanceof SallyportError) return cause;
  const code = (cause as NodeJS.ErrnoException | undefined)?.code ?? 'unknown error';
  if (code === 'EEXIST' || code === 'ENOTDIR') return inTheWay(path);
  const fix =
    code === 'EACCES' || code === 'EPERM'
      ? 'make it readable and writable for the user that runs the gateway'
      : 'check the disk, or set "data" to another folder';
  return new SallyportError('ERR_DATA_FOLDER', `${path} cannot be used as data folder (${code}); ${fix}`, {
    cause,
  });
}

function inTheWay(path: string): SallyportError {
  return new SallyportError(
    'ERR_DATA_FOLDER',
    `${path} cannot be used as data folder: a file is in the way; remove it or set "data" to another folder`,
  );
}
