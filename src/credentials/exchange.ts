import { err, ok, parseStrictJson, type Result } from '../base/index.ts';
import type { CredentialFailure } from '../identity/index.ts';

/** The part of `fetch` that is used; a test gives its own. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export type HttpAnswer = { readonly status: number; readonly text: string };

const TIMEOUT_MILLISECONDS = 10_000;
const MAX_BYTES = 256 * 1024;

/**
 * One request to an authority that is in the configuration: no redirect, at most 10 s and 256 KiB. The failure
 * names host and cause and quotes nothing of the answer.
 */
export async function exchange(
  url: string,
  init: RequestInit,
  fetch: Fetch,
): Promise<Result<HttpAnswer, CredentialFailure>> {
  const { host } = new URL(url);
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MILLISECONDS);
    const response = await fetch(url, { ...init, redirect: 'error', signal });
    const text = await readBounded(response);
    return text === undefined
      ? err({ detail: `${host} answered more than ${MAX_BYTES} bytes` })
      : ok({ status: response.status, text });
  } catch (error) {
    const isSlow = error instanceof Error && error.name === 'TimeoutError';
    return err({ detail: `${host} ${isSlow ? 'does not answer in time' : 'cannot be reached'}` });
  }
}

async function readBounded(response: Response): Promise<string | undefined> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > MAX_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** A JSON document; undefined for anything that two parsers could read differently. */
export function parseDocument(text: string): unknown {
  const parsed = parseStrictJson(text);
  return parsed.ok ? parsed.value : undefined;
}

/** Is a string fit for an `Authorization` header? */
export function isHeaderToken(value: unknown): value is string {
  return typeof value === 'string' && /^[\x21-\x7e]{1,8192}$/.test(value);
}
