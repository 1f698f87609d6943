import { err, ok, type Result } from '../base/index.ts';
import { TILE_WIDTH, type TileLevel, tilePath } from '../intent-log/index.ts';

/** The log of a gateway as it is served; nothing of it is believed. An error is one that may pass. */
export type RemoteLog = {
  checkpoint(): Promise<Result<string, string>>;
  tile(level: TileLevel, n: number, width: number): Promise<Result<Uint8Array, string>>;
  /** What the gateway says of changes of its key: a JSON list of statements. Of one that knows none of that, an empty one. */
  keyChanges(): Promise<Result<string, string>>;
};

export type RemoteLogDeps = {
  readonly fetch: typeof globalThis.fetch;
  /** The `Authorization` header; asked for each request. */
  readonly authorize: () => Promise<string>;
  readonly timeoutMs: number;
};

const MAX_NOTE = 64 * 1024;
const MAX_CHANGES = 1024 * 1024;
const MAX_HASHES = TILE_WIDTH * 32;
const MAX_BUNDLE = TILE_WIDTH * (2 + 65_535);

/** Reads C2SP tlog-tiles from the admin plane of a gateway. Redirects are not followed: they would carry the token on. */
export function openRemoteLog(url: string, deps: RemoteLogDeps): RemoteLog {
  const prefix = `${url.replace(/\/+$/, '')}/v1/log/`;
  return {
    async checkpoint() {
      const got = await get(`${prefix}checkpoint`, MAX_NOTE, deps);
      return got.ok ? ok(got.value.toString('utf8')) : got;
    },
    async keyChanges() {
      const got = await get(`${prefix}key-changes`, MAX_CHANGES, { ...deps, whenAbsent: '[]' });
      return got.ok ? ok(got.value.toString('utf8')) : got;
    },
    tile: (level, n, width) =>
      get(prefix + tilePath(level, n, width), level === 'entries' ? MAX_BUNDLE : MAX_HASHES, deps),
  };
}

async function get(
  url: string,
  most: number,
  deps: RemoteLogDeps & { readonly whenAbsent?: string },
): Promise<Result<Buffer, string>> {
  const { fetch, authorize, timeoutMs, whenAbsent } = deps;
  try {
    const response = await fetch(url, {
      headers: { authorization: await authorize() },
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
    });
    if (response.status !== 200) {
      await response.body?.cancel();
      if (response.status === 404 && whenAbsent !== undefined) return ok(Buffer.from(whenAbsent));
      return err(`the gateway answered ${new URL(url).pathname} with status ${response.status}`);
    }
    const chunks: Uint8Array[] = [];
    let length = 0;
    for await (const chunk of response.body ?? []) {
      length += chunk.length;
      if (length > most) return err(`the gateway's answer to ${new URL(url).pathname} is too long`);
      chunks.push(chunk);
    }
    return ok(Buffer.concat(chunks));
  } catch (error) {
    return err(`the gateway cannot be reached: ${reasonOf(error)}`);
  }
}

/** The code of what went wrong rather than its text, which may name what nobody should read in a log. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error';
  const { code, name } = (error.cause ?? error) as NodeJS.ErrnoException;
  return name === 'SallyportError' ? error.message : (code ?? name);
}
