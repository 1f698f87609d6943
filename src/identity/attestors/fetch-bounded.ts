/** The part of `fetch` that is used; a test gives its own. */
export type Fetch = (
  url: string,
  init: {
    readonly redirect: 'error';
    readonly signal: AbortSignal;
    readonly headers: Record<string, string>;
    readonly method?: 'POST';
    readonly body?: string;
  },
) => Promise<FetchAnswer>;

/** The part of a `Response` that is used. */
export type FetchAnswer = {
  readonly status: number;
  readonly body: (AsyncIterable<Uint8Array> & { cancel(): Promise<void> }) | null;
};

const TIMEOUT_MILLISECONDS = 5000;
const MAX_BYTES = 256 * 1024;

/** Gets a small document: no redirect, at most 5 s and 256 KiB. Rejects for anything else. */
export async function fetchBounded(url: string, fetch: Fetch): Promise<string> {
  const signal = AbortSignal.timeout(TIMEOUT_MILLISECONDS);
  const response = await fetch(url, { redirect: 'error', signal, headers: { accept: 'application/json' } });
  return readBounded(response, [200]);
}

/** Posts JSON under the same limits, as the holder of a bearer token. */
export async function postBounded(
  url: string,
  { bearer, body }: { readonly bearer: string; readonly body: string },
  fetch: Fetch,
): Promise<string> {
  const response = await fetch(url, {
    method: 'POST',
    redirect: 'error',
    signal: AbortSignal.timeout(TIMEOUT_MILLISECONDS),
    headers: {
      accept: 'application/json',
      'content-type': 'application/json',
      authorization: `Bearer ${bearer}`,
    },
    body,
  });
  return readBounded(response, [200, 201]);
}

async function readBounded({ status, body }: FetchAnswer, good: readonly number[]): Promise<string> {
  if (!good.includes(status) || body === null) {
    await body?.cancel();
    throw new Error(`answered ${status}`);
  }
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > MAX_BYTES) throw new Error(`answered more than ${MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
