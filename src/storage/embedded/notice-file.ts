import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SallyportError } from '../../base/index.ts';
import type { NoticeShelf } from '../../identity/index.ts';
import { replaceFile } from './stop-file.ts';

/** Keeps what other gateways said about keys in `<data>/key-notices.json`. Nothing in it is secret. */
export function openNoticeFile(dataFolder: string): NoticeShelf {
  const file = join(dataFolder, 'key-notices.json');
  let writing: Promise<void> = Promise.resolve();
  return {
    read: () =>
      readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return undefined;
        throw new SallyportError('ERR_DATA_FOLDER', `${file} cannot be read (${error.code})`);
      }),
    write(text) {
      writing = writing.catch(() => undefined).then(() => replaceFile(file, text)); // one at a time
      return writing;
    },
  };
}
