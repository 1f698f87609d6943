import {
  type Clock,
  err,
  isJsonObject,
  type JsonObject,
  ok,
  parseRunId,
  type Result,
  type RunId,
  SallyportError,
  sha256,
} from '../base/index.ts';
import type { ProofKey } from './proof-key.ts';

/** What the client needs of the world. */
export type ClientDeps = { readonly fetch: typeof globalThis.fetch; readonly now: Clock };

/** A run token in hand. Times are milliseconds since the epoch. */
export type RunToken = {
  readonly run: RunId;
  readonly value: string;
  /** `ath` of every proof that goes with the token. */
  readonly hash: string;
  /** From here on a new one is fetched if that is possible: half of its life. */
  readonly renewAt: number;
  readonly expiresAt: number;
};

const TIMEOUT_MILLISECONDS = 30_000;

/** Reads a token answer; `requestedAt` because `expires_in` counts from some moment after it. */
export function parseRunToken(answer: JsonObject, requestedAt: number): Result<RunToken, string> {
  const { access_token: value, token_type: type, expires_in: life, sallyport } = answer;
  if (typeof value !== 'string' || value === '') return err('access_token is missing');
  if (typeof type !== 'string' || type.toLowerCase() !== 'dpop') {
    return err('token_type is not DPoP, so the token would be good for anyone who sees it');
  }
  if (typeof life !== 'number' || !(life > 0)) return err('expires_in is not a number of seconds');
  const run = isJsonObject(sallyport) ? parseRunId(sallyport['run']) : undefined;
  if (run === undefined) return err('sallyport.run is not a run id');
  return ok({
    run,
    value,
    hash: sha256(value),
    renewAt: requestedAt + life * 500,
    expiresAt: requestedAt + life * 1000,
  });
}

/**
 * Posts a form with a DPoP proof and returns the JSON object in the answer, `{}` if there is none.
 * Throws `ERR_REQUEST_REFUSED` with the server's `error` and `error_description` (RFC 6749 §5.2).
 */
export async function postForm(
  endpoint: string,
  form: Readonly<Record<string, string>>,
  key: ProofKey,
  deps: ClientDeps,
  tokenHash?: string,
): Promise<JsonObject> {
  const url = new URL(endpoint);
  const subject = { method: 'POST', url, now: deps.now() };
  const proof = await key.prove(tokenHash === undefined ? subject : { ...subject, tokenHash });
  const response = await send(url, proof, form, deps);
  const answer = parseObject(await response.text());
  if (!response.ok) throw refusal(url, response.status, answer);
  return answer ?? {};
}

async function send(
  url: URL,
  proof: string,
  form: Readonly<Record<string, string>>,
  deps: ClientDeps,
): Promise<Response> {
  try {
    return await deps.fetch(url, {
      method: 'POST',
      headers: { accept: 'application/json', dpop: proof },
      body: new URLSearchParams(form),
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MILLISECONDS),
    });
  } catch (cause) {
    throw new SallyportError(
      'ERR_REQUEST_REFUSED',
      `${url.href} does not answer; start the gateway or correct the gateway URL`,
      { cause },
    );
  }
}

function parseObject(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function refusal(url: URL, status: number, answer: JsonObject | undefined): SallyportError {
  const error = answer?.['error'];
  const description = answer?.['error_description'];
  const said = [error, description].filter((part) => typeof part === 'string').join(': ');
  return new SallyportError('ERR_REQUEST_REFUSED', `${url.pathname} answered ${said || `HTTP ${status}`}`);
}
