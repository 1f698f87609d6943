import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** How to run Go offline with the libraries that Debian packages put into /usr/share/gocode. */
export function goEnvironment(): { readonly go: string; readonly env: NodeJS.ProcessEnv } {
  const cache = mkdtempSync(join(tmpdir(), 'sallyport-go-'));
  return {
    go: 'go',
    env: { ...process.env, GO111MODULE: 'off', GOPATH: '/usr/share/gocode', GOCACHE: cache, GOFLAGS: '' },
  };
}
