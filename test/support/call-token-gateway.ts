import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type AgentName,
  createIdSource,
  digestJson,
  parseAgentName,
  sha256,
  systemClock,
} from '../../src/base/index.ts';
import {
  agentSpiffeId,
  type CallTokenRequest,
  type KeyThumbprint,
  mintCallToken,
  openSigningKeys,
  parseTrustDomain,
  type Run,
  runSpiffeId,
  type TrustDomain,
} from '../../src/identity/index.ts';
import { receivedCall } from '../../src/verifier/index.ts';

/** A gateway reduced to what an upstream meets of it: published keys, and a token for each call. */
export type CallTokenGateway = AsyncDisposable & {
  readonly issuer: string;
  readonly jwksUrl: string;
  readonly run: Run;
  /** A fresh `Authorization` value for a message, as the gateway would send it; parts can be changed. */
  readonly authorize: (method: string, body: unknown, change?: Partial<CallTokenRequest>) => string;
  /** A fetch that sends such a value with each request, for MCP clients. */
  readonly fetch: typeof globalThis.fetch;
};

export async function startCallTokenGateway(audience: () => string): Promise<CallTokenGateway> {
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-'));
  const keys = await openSigningKeys({ folder, now: systemClock });
  const server = createServer((_, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(keys.jwks()));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const ids = createIdSource(systemClock);
  const run = makeRun(ids.runId());

  const authorize: CallTokenGateway['authorize'] = (method, body, change = {}) => {
    const call = receivedCall(method, body);
    if (!call.ok) throw new Error(call.error);
    const { asked = {}, ...received } = call.value;
    const request = {
      caller: { chain: [run], pop: 'dpop', tokenId: 't', proofId: 'p' },
      callId: ids.callId(),
      audience: audience(),
      ...received,
      argsDigest: digestJson(asked),
      decision: { policies: ['test'], revision: 'r1' },
      intentLeaf: sha256('intent'),
      ...change,
    } as const;
    return `Bearer ${mintCallToken(request, { keys, issuer, now: systemClock }).token}`;
  };
  const fetchWithToken: typeof globalThis.fetch = (input, init) => {
    const headers = new Headers(init?.headers);
    const body: unknown = typeof init?.body === 'string' ? JSON.parse(init.body) : undefined;
    headers.set('authorization', authorize(init?.method ?? 'GET', body));
    return fetch(input, { ...init, headers });
  };
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise<void>((resolve) => server.close(() => resolve()));
    await rm(folder, { recursive: true });
  };
  const jwksUrl = `${issuer}/.well-known/jwks.json`;
  return { issuer, jwksUrl, run, authorize, fetch: fetchWithToken, [Symbol.asyncDispose]: close };
}

function makeRun(id: Run['id']): Run {
  const trustDomain = parseTrustDomain('ops.example') as TrustDomain;
  const agent = parseAgentName('ops-desk-agent') as AgentName;
  return {
    id,
    spiffeId: runSpiffeId(trustDomain, agent, id),
    agent,
    owner: { kind: 'team', name: 'operations', contact: 'operations@ops.example' },
    environment: 'dev',
    root: id,
    depth: 0,
    key: sha256('key') as KeyThumbprint,
    intent: { purpose: 'refund-desk' },
    envelope: { tools: [], maxCalls: 10, maxDepth: 0, expiresAt: 0 },
    evidence: {
      attestor: 'test',
      digest: sha256('evidence'),
      claims: { agent: agentSpiffeId(trustDomain, agent) },
    },
    issuedAt: 0,
  };
}
