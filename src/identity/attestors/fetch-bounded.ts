/** The part of `fetch` that is used; a test gives its own. */
export type Fetch = (
  url: string,
  init: {
    readonly redirect: 'error';
    readonly signal: AbortSignal;
    readonly headers: Record<string, string>;
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
  if (response.status !== 200 || response.body === null) {
    await response.body?.cancel();
    throw new Error(`answered ${response.status}`);
  }
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body) {
    bytes += chunk.length;
    if (bytes > MAX_BYTES) throw new Error(`answered more than ${MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
