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
};

export async function startFakeAgentPlane(options: FakeAgentPlaneOptions = {}): Promise<FakeAgentPlane> {
  const now = options.now ?? Date.now;
  const ids = createIdSource(now);
  const runs = new Map<string, Run>(); // by token
  const byKey = new Map<string, Run>();
  const usedBy = new Map<string, string>();
  const seenProofs = new Set<string>();
  const grants = new Set<string>();
  const forms: Record<string, string>[] = [];
  const ended: string[] = [];
  const mcpRequests: FakeAgentPlane['mcpRequests'] = [];

  const checkProof = async (request: IncomingMessage, token?: string): Promise<string> => {
    const proof = request.headers['dpop'];
    if (typeof proof !== 'string' || proof.includes(','))
      throw new Refusal(401, 'invalid_dpop_proof', 'proof');
    const { payload, protectedHeader } = await jwtVerify(proof, EmbeddedJWK, {
      typ: 'dpop+jwt',
      algorithms: ['ES256'],
      currentDate: new Date(now()),
      maxTokenAge: 60,
    });
    const expected: Record<string, unknown> = {
      htm: request.method,
      htu: url + new URL(request.url ?? '/', url).pathname,
      ath: token === undefined ? payload['ath'] : sha256(token),
    };
    for (const [claim, value] of Object.entries(expected)) {
      if (payload[claim] !== value) throw new Refusal(401, 'invalid_dpop_proof', claim);
    }
    if (typeof payload.jti !== 'string' || seenProofs.has(payload.jti)) {
      throw new Refusal(401, 'invalid_dpop_proof', 'jti');
    }
    seenProofs.add(payload.jti);
    return calculateJwkThumbprint(protectedHeader.jwk as JWK);
  };

  const issue = (assertion: string, thumbprint: string): Record<string, unknown> => {
    const known = options.assertions ?? ['join-me'];
    const isKnown = known === 'any' || known.includes(assertion) || grants.has(assertion);
    if (!isKnown) throw new Refusal(400, 'invalid_grant', 'the assertion is not known');
    if (known !== 'any' && (usedBy.get(assertion) ?? thumbprint) !== thumbprint) {
      throw new Refusal(400, 'invalid_grant', 'the assertion was used by another key');
    }
    usedBy.set(assertion, thumbprint);
    const run = byKey.get(thumbprint) ?? { id: ids.runId(), thumbprint, isOver: false };
    if (run.isOver) throw new Refusal(400, 'invalid_grant', 'the run is over');
    byKey.set(thumbprint, run);
    const token = randomUUID();
    runs.set(token, run);
    const answer = { access_token: token, token_type: 'DPoP', expires_in: options.tokenLife ?? 300 };
    return { ...answer, sallyport: { run: run.id } };
  };

  const routes: Record<string, Handler> = {
    '/oauth/token': async (request, response) => {
      const form = Object.fromEntries(new URLSearchParams(await read(request)));
      forms.push(form);
      if (form['grant_type']?.endsWith(':token-exchange')) {
        const thumbprint = await checkProof(request, form['subject_token']);
        requireLive(runs.get(form['subject_token'] ?? ''), thumbprint);
        const grant = `grant-${randomUUID()}`;
        grants.add(grant);
        const type = 'urn:ietf:params:oauth:token-type:jwt';
        return json(response, 200, { access_token: grant, issued_token_type: type, token_type: 'N_A' });
      }
      const answer = issue(form['assertion'] ?? '', await checkProof(request));
      json(response, 200, options.tokenAnswer?.(answer) ?? answer);
    },
    '/oauth/revoke': async (request, response) => {
      const token = new URLSearchParams(await read(request)).get('token') ?? '';
      const run = requireLive(runs.get(token), await checkProof(request, token));
      run.isOver = true;
      ended.push(run.id);
      response.writeHead(200).end();
    },
  };

  const serveMcp: Handler = async (request, response) => {
    mcpRequests.push({ method: request.method ?? '', headers: { ...request.headers } });
    const token = /^DPoP (\S+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
    const run = requireLive(runs.get(token), await checkProof(request, token));
    if (options.mcp === undefined) return json(response, 200, { path: request.url });
    await options.mcp(request, response, run.id);
  };

  const server = createServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://localhost').pathname;
    const route = routes[path] ?? (path.startsWith('/mcp/') ? serveMcp : undefined);
    if (route === undefined) return json(response, 404, { error: 'not_found' });
    Promise.resolve(route(request, response)).catch((error: unknown) => refuse(response, error));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const close = async () => {
    server.closeAllConnections();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  };
  return { url, forms, ended, mcpRequests, [Symbol.asyncDispose]: close };
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

function refuse(response: ServerResponse, error: unknown): void {
  const known = error instanceof Refusal ? error : new Refusal(401, 'invalid_dpop_proof', String(error));
  if (response.headersSent) response.destroy();
  else json(response, known.status, { error: known.error, error_description: known.message });
}

function requireLive(run: Run | undefined, thumbprint: string): Run {
  if (run === undefined || run.isOver) throw new Refusal(401, 'invalid_token', 'the run is over');
  if (run.thumbprint !== thumbprint)
    throw new Refusal(401, 'invalid_token', 'the token is bound to another key');
  return run;
}

async function read(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request) text += String(chunk);
  return text;
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
