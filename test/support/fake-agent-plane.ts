import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { calculateJwkThumbprint, EmbeddedJWK, type JWK, jwtVerify } from 'jose';
import { createIdSource, sha256 } from '../../src/base/index.ts';

type Handler = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

export type FakeAgentPlaneOptions = {
  /** Assertions that the token endpoint takes; each may be used by one key unless any is taken. */
  readonly assertions?: readonly string[] | 'any';
  /** Seconds. */
  readonly tokenLife?: number;
  /** Serves `/mcp/...` for a run once token and proof are good. */
  readonly mcp?: (request: IncomingMessage, response: ServerResponse, run: string) => void | Promise<void>;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
  /** Refuses every token at `/mcp`, whatever it is. */
  readonly refuseAll?: boolean;
  /** What a 401 names as `resource_metadata`. */
  readonly resourceMetadata?: string;
  /** Nonce that every proof must have (RFC 9449 §8, §9), read anew for each request. */
  readonly nonce?: () => string;
  /** Changes what the token endpoint answers. */
  readonly tokenAnswer?: (answer: Record<string, unknown>) => Record<string, unknown>;
};

type Run = { readonly id: string; readonly thumbprint: string; isOver: boolean };

/** A gateway's agent plane reduced to its protocol: checks every proof strictly, decides nothing. */
export type FakeAgentPlane = AsyncDisposable & {
  readonly url: string;
  /** Every form posted to /oauth/token, in order. */
  readonly forms: Record<string, string>[];
  /** Ids of runs that were ended. */
  readonly ended: string[];
  /** Headers of every request to /mcp, in order. */
  readonly mcpRequests: { readonly method: string; readonly headers: Record<string, unknown> }[];
  /** Knows none of the tokens it gave any more, as after the removal of its key. Runs live on. */
  readonly forgetTokens: () => void;
};

export async function startFakeAgentPlane(options: FakeAgentPlaneOptions = {}): Promise<FakeAgentPlane> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const state = new FakeRuns(url, options);
  const mcpRequests: FakeAgentPlane['mcpRequests'] = [];
  const serveMcp: Handler = async (request, response) => {
    mcpRequests.push({ method: request.method ?? '', headers: { ...request.headers } });
    const token = /^DPoP (\S+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
    const run = await state.authenticate(token, request);
    if (options.refuseAll === true) throw new Refusal(401, 'invalid_token', 'never');
    if (options.mcp === undefined) return json(response, 200, { path: request.url });
    await options.mcp(request, response, run.id);
  };
  const routes: Record<string, Handler> = {
    '/oauth/token': async (request, response) => json(response, 200, await state.token(request)),
    '/oauth/revoke': async (request, response) => {
      await state.revoke(request);
      response.writeHead(200).end();
    },
  };
  server.on('request', (request, response) => {
    const path = new URL(request.url ?? '/', url).pathname;
    const route = routes[path] ?? (path.startsWith('/mcp/') ? serveMcp : undefined);
    if (route === undefined) return json(response, 404, { error: 'not_found' });
    Promise.resolve(route(request, response)).catch((error: unknown) => refuse(response, error, options));
  });
  const close = async () => {
    server.closeAllConnections();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  };
  const forgetTokens = (): void => state.forgetTokens();
  const { forms, ended } = state;
  return { url, forms, ended, mcpRequests, forgetTokens, [Symbol.asyncDispose]: close };
}

/** Tokens, grants and the runs behind them. */
class FakeRuns {
  readonly forms: Record<string, string>[] = [];
  readonly ended: string[] = [];
  readonly #url: string;
  readonly #options: FakeAgentPlaneOptions;
  readonly #byToken = new Map<string, Run>();
  readonly #byKey = new Map<string, Run>();
  readonly #usedBy = new Map<string, string>();
  readonly #seenProofs = new Set<string>();
  readonly #grants = new Set<string>();

  constructor(url: string, options: FakeAgentPlaneOptions) {
    this.#url = url;
    this.#options = options;
  }

  async token(request: IncomingMessage): Promise<Record<string, unknown>> {
    const form = Object.fromEntries(new URLSearchParams(await read(request)));
    this.forms.push(form);
    if (form['grant_type']?.endsWith(':token-exchange')) {
      await this.authenticate(form['subject_token'] ?? '', request);
      const grant = `grant-${randomUUID()}`;
      this.#grants.add(grant);
      const type = 'urn:ietf:params:oauth:token-type:jwt';
      return { access_token: grant, issued_token_type: type, token_type: 'N_A', expires_in: 60 };
    }
    const answer = this.#issue(form['assertion'] ?? '', await this.#checkProof(request));
    return this.#options.tokenAnswer?.(answer) ?? answer;
  }

  forgetTokens(): void {
    this.#byToken.clear();
  }

  async revoke(request: IncomingMessage): Promise<void> {
    const token = new URLSearchParams(await read(request)).get('token') ?? '';
    const run = await this.authenticate(token, request);
    run.isOver = true;
    this.ended.push(run.id);
  }

  async authenticate(token: string, request: IncomingMessage): Promise<Run> {
    const thumbprint = await this.#checkProof(request, token);
    const run = this.#byToken.get(token);
    if (run === undefined || run.isOver) throw new Refusal(401, 'invalid_token', 'the run is over');
    if (run.thumbprint !== thumbprint) {
      throw new Refusal(401, 'invalid_token', 'the token is bound to another key');
    }
    return run;
  }

  /** Gives the thumbprint of the key that signed. */
  async #checkProof(request: IncomingMessage, token?: string): Promise<string> {
    const proof = request.headers['dpop'];
    if (typeof proof !== 'string') throw new Refusal(401, 'invalid_dpop_proof', 'proof');
    const { payload, protectedHeader } = await jwtVerify(proof, EmbeddedJWK, {
      typ: 'dpop+jwt',
      algorithms: ['ES256'],
      currentDate: new Date(this.#now()),
      maxTokenAge: 60,
    });
    const { nonce } = this.#options;
    if (nonce !== undefined && payload['nonce'] !== nonce()) {
      throw new Refusal(token === undefined ? 400 : 401, 'use_dpop_nonce', 'a nonce is needed');
    }
    const expected: Record<string, unknown> = {
      htm: request.method,
      htu: this.#url + new URL(request.url ?? '/', this.#url).pathname,
      ath: token === undefined ? payload['ath'] : sha256(token),
    };
    for (const [claim, value] of Object.entries(expected)) {
      if (payload[claim] !== value) throw new Refusal(401, 'invalid_dpop_proof', claim);
    }
    if (typeof payload.jti !== 'string' || this.#seenProofs.has(payload.jti)) {
      throw new Refusal(401, 'invalid_dpop_proof', 'jti');
    }
    this.#seenProofs.add(payload.jti);
    return calculateJwkThumbprint(protectedHeader.jwk as JWK);
  }

  #issue(assertion: string, thumbprint: string): Record<string, unknown> {
    const known = this.#options.assertions ?? ['join-me'];
    const isKnown = known === 'any' || known.includes(assertion) || this.#grants.has(assertion);
    if (!isKnown) throw new Refusal(400, 'invalid_grant', 'the assertion is not known');
    if (known !== 'any' && (this.#usedBy.get(assertion) ?? thumbprint) !== thumbprint) {
      throw new Refusal(400, 'invalid_grant', 'the assertion was used by another key');
    }
    this.#usedBy.set(assertion, thumbprint);
    const id = createIdSource(() => this.#now()).runId();
    const run = this.#byKey.get(thumbprint) ?? { id, thumbprint, isOver: false };
    if (run.isOver) throw new Refusal(400, 'invalid_grant', 'the run is over');
    this.#byKey.set(thumbprint, run);
    const token = randomUUID();
    this.#byToken.set(token, run);
    const answer = { access_token: token, token_type: 'DPoP', expires_in: this.#options.tokenLife ?? 300 };
    return { ...answer, sallyport: { run: run.id } };
  }

  #now(): number {
    return this.#options.now?.() ?? Date.now();
  }
}

class Refusal extends Error {
  readonly status: number;
  readonly error: string;

  constructor(status: number, error: string, message: string) {
    super(message);
    this.status = status;
    this.error = error;
  }
}

function refuse(response: ServerResponse, error: unknown, options: FakeAgentPlaneOptions): void {
  const known = error instanceof Refusal ? error : new Refusal(401, 'invalid_dpop_proof', String(error));
  if (response.headersSent) return void response.destroy();
  const metadata = options.resourceMetadata;
  const named = metadata === undefined ? '' : `, resource_metadata="${metadata}"`;
  if (known.status === 401) response.setHeader('www-authenticate', `DPoP error="${known.error}"${named}`);
  if (options.nonce !== undefined) response.setHeader('dpop-nonce', options.nonce());
  json(response, known.status, { error: known.error, error_description: known.message });
}

async function read(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request) text += String(chunk);
  return text;
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
