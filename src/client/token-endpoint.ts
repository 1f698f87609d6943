import { type Clock, err, type JsonObject, ok, type Result, SallyportError } from '../base/index.ts';
import { parseObject, readText } from './bounded-answer.ts';
import type { ProofKey } from './proof-key.ts';

/** What the client needs of the world. */
export type ClientDeps = { readonly fetch: typeof globalThis.fetch; readonly now: Clock };

type Form = Readonly<Record<string, string>>;

/** What a form is proved with. Without a key there is no proof. */
export type FormProof = {
  readonly key: ProofKey | undefined;
  /** Of the access token that the form is about. */
  readonly tokenHash?: string;
};

const TIMEOUT_MILLISECONDS = 30_000;

/** A form that was answered with an error (RFC 6749 §5.2). */
export type FormRefusal = {
  /** The server's `error`, undefined when it named none. */
  readonly error: string | undefined;
  /** For people: the path, and what the server said. */
  readonly message: string;
};

/**
 * Posts a form with a DPoP proof and returns the JSON object in the answer, `{}` if there is none. A server that asks
 * for a nonce of its own gets it, once (RFC 9449 §8). Throws `ERR_REQUEST_REFUSED` when nobody answers.
 */
export async function askEndpoint(
  endpoint: string,
  form: Form,
  proof: FormProof,
  deps: ClientDeps,
): Promise<Result<JsonObject, FormRefusal>> {
  const url = new URL(endpoint);
  let { answer, response, isNonceNew } = await post(url, form, proof, deps);
  if (!response.ok && answer?.['error'] === 'use_dpop_nonce' && isNonceNew) {
    ({ answer, response } = await post(url, form, proof, deps));
  }
  return response.ok ? ok(answer ?? {}) : err(refusal(url, response.status, answer, form));
}

/** The same for callers to whom a refusal is an error. Throws `ERR_REQUEST_REFUSED`. */
export async function postForm(
  endpoint: string,
  form: Form,
  proof: FormProof,
  deps: ClientDeps,
): Promise<JsonObject> {
  const answer = await askEndpoint(endpoint, form, proof, deps);
  if (answer.ok) return answer.value;
  throw new SallyportError('ERR_REQUEST_REFUSED', answer.error.message);
}

async function post(url: URL, form: Form, { key, tokenHash }: FormProof, deps: ClientDeps) {
  const subject = { method: 'POST', url, now: deps.now() };
  const proof = await key?.prove(tokenHash === undefined ? subject : { ...subject, tokenHash });
  const response = await send(url, proof, form, deps);
  const isNonceNew = key?.observe(url, response) === true;
  return { response, isNonceNew, answer: parseObject(await readText(response)) };
}

async function send(url: URL, proof: string | undefined, form: Form, deps: ClientDeps): Promise<Response> {
  try {
    return await deps.fetch(url, {
      method: 'POST',
      headers: { accept: 'application/json', ...(proof !== undefined && { dpop: proof }) },
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

function refusal(url: URL, status: number, answer: JsonObject | undefined, form: Form): FormRefusal {
  const [error, description] = [answer?.['error'], answer?.['error_description']];
  const said = [error, description]
    .flatMap((part) => (typeof part === 'string' ? printable(part, form) : []))
    .join(': ');
  return {
    error: typeof error === 'string' ? error : undefined,
    message: `${url.pathname} answered ${said || `HTTP ${status}`}`,
  };
}

const MAX_SAID = 256;
/** Shorter values are names. */
const MIN_SECRET = 16;

/**
 * As RFC 6749 §5.2 has it, and no book: it goes to terminals and logs. A server that repeats an assertion, a code or a
 * token does not get it written there.
 */
function printable(text: string, form: Form): string {
  const secrets = Object.values(form).filter((value) => value.length >= MIN_SECRET);
  const said = secrets.reduce((rest, secret) => rest.replaceAll(secret, '...'), text);
  return said.slice(0, MAX_SAID).replace(/[^\x20-\x7e]/g, '?');
}
