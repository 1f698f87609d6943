import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  createIdSource,
  ok,
  parseUpstreamName,
  systemClock,
  type UpstreamName,
} from '../../src/base/index.ts';
import {
  type AuthorizationRequest,
  createProvenanceSecret,
  type Decision,
  openProvenance,
  type Pdp,
} from '../../src/cedar/index.ts';
import {
  type CallDeps,
  createInFlight,
  createResumption,
  createTasks,
  handleCall,
  type Inbound,
  refusalToWire,
} from '../../src/gateway/call/index.ts';
import { createCatalogue } from '../../src/gateway/catalogue.ts';
import { createLogger, parseConfig } from '../../src/gateway/index.ts';
import { agentGone, createEventIds, createSessions, writeAnswer } from '../../src/gateway/mcp/index.ts';
import { createProvenances } from '../../src/gateway/provenances.ts';
import { openHttpUpstream } from '../../src/gateway/upstream/index.ts';
import { NO_CREDENTIAL } from '../../src/identity/index.ts';
import type { NewRecord } from '../../src/intent-log/index.ts';
import { createEmbeddedRuns } from '../../src/storage/index.ts';
import { aRun } from '../support/a-run.ts';
import { serveHttp } from '../support/serve-http.ts';
import { type ByteUpstream, startByteUpstream } from './byte-upstream.ts';

/** What the PDP was asked and what it said. */
export type Decided = {
  readonly target: AuthorizationRequest['target'];
  readonly effect: Decision['effect'];
};

/**
 * The whole way of a call but for who is calling: a PDP that writes down what it is asked, a log that is a list,
 * an upstream that is bytes.
 */
export type BareRelay = AsyncDisposable & {
  readonly url: string;
  readonly decided: Decided[];
  readonly records: NewRecord[];
  readonly upstream: ByteUpstream;
  readonly inFlight: () => number;
  /** What the gateway threw that it should not have. */
  readonly defects: unknown[];
};

export const BODY_BYTES = 20_000;
export const RESULT_BYTES = 20_000;

const CONFIG = {
  trustDomain: 'fuzz.example',
  agents: [
    {
      name: 'desk',
      owner: { kind: 'team', name: 'x', contact: 'x' },
      purposes: ['triage'],
      tools: ['desk/*'],
    },
  ],
  attestors: [{ kind: 'join-token' }],
  upstreams: [{ name: 'desk', transport: { kind: 'http', url: 'http://127.0.0.1:1/mcp' } }],
};

/** Permits about four in five, by what is asked, so that the same question has the same answer. */
function recordingPdp(decided: Decided[]): Pdp {
  const permits = ({ target }: AuthorizationRequest): boolean => JSON.stringify(target).length % 5 !== 0;
  return {
    revision: 'r',
    decide(request) {
      const effect = permits(request) ? 'permit' : 'forbid';
      decided.push({ target: structuredClone(request.target), effect });
      const by = { policies: ['p'], revision: 'r' };
      return effect === 'permit' ? { effect, ...by } : { effect, ...by, code: 'not_permitted', reason: 'no' };
    },
    visibleTools: () => new Set(),
  };
}

export async function openBareRelay(): Promise<BareRelay> {
  const upstream = await startByteUpstream();
  const decided: Decided[] = [];
  const records: NewRecord[] = [];
  const defects: unknown[] = [];
  const name = parseUpstreamName('desk') as UpstreamName;
  const http = openHttpUpstream({ name, url: upstream.url, timeoutMs: 2000, resultBytes: RESULT_BYTES });
  const deps = toDeps({
    decided,
    records,
    upstreams: new Map([[name, { upstream: http, credential: NO_CREDENTIAL }]]),
  });
  const ids = createIdSource(Date.now);
  const server = await serveHttp((request, response) => {
    serve(request, response, deps, ids.callId()).catch((error: unknown) => {
      defects.push(error);
      response.destroy();
    });
  });
  return {
    url: server.url,
    decided,
    records,
    upstream,
    defects,
    inFlight: () => deps.inFlight.size,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await http[Symbol.asyncDispose]();
      await upstream[Symbol.asyncDispose]();
    },
  };
}

function toDeps(own: Pick<CallDeps, 'upstreams'> & { decided: Decided[]; records: NewRecord[] }): CallDeps {
  const run = aRun({ envelope: { maxCalls: 1_000_000, expiresAt: Number.MAX_SAFE_INTEGER } });
  const stored = [{ run, state: 'live', spentCalls: 0 }] as const;
  const { history } = createEmbeddedRuns({
    now: systemClock,
    runs: stored,
    proofs: [],
    keyWasUsed: async () => false,
  });
  const log = createLogger('silent');
  const inFlight = createInFlight();
  const secret = createProvenanceSecret();
  const identity = {
    tokens: { verify: () => ok({ run: run.id, key: run.key, binding: 'jkt', tokenId: 't', expiresAt: 0 }) },
    proofs: {
      inspect: () => ok({ thumbprint: run.key, proofId: 'p', expiresAt: 0 }),
      hasValidSignature: () => true,
    },
    runs: { admit: async () => ok({ chain: [run] }) },
  };
  return {
    admission: { allowedHosts: ['127.0.0.1'], allowedOrigins: [], limits: { bodyBytes: BODY_BYTES } },
    credentialsOf: () => ({ authorization: 'DPoP t', dpop: 'p', method: 'POST', url: '', resources: [] }),
    // Anybody is the one run there is: who calls is not what is tried here.
    identity: identity as unknown as CallDeps['identity'],
    upstreams: own.upstreams,
    catalogue: createCatalogue(parseConfig(CONFIG, 'fuzz')),
    rechecks: { announce: () => undefined, settle: () => undefined },
    sessions: createSessions({ now: systemClock }),
    eventIds: createEventIds(new Uint8Array(32)),
    history,
    provenances: createProvenances({
      newIndex: () => openProvenance({ secret }),
      constants: [],
      principalOf: () => [],
      log,
    }),
    inFlight,
    watch: { isCurrent: () => true },
    resumption: createResumption({ inFlight, log, waitMs: 1 }),
    tasks: createTasks(),
    pdp: recordingPdp(own.decided),
    logOrigin: 'agents.example.org/log',
    logHealth: () => ({ state: 'open' }),
    intentLog: {
      failed: new Promise(() => undefined),
      async append(record) {
        own.records.push(record);
        return { index: own.records.length, leaf: 'leaf' };
      },
      async [Symbol.asyncDispose]() {},
    },
    now: systemClock,
    log,
  };
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  deps: CallDeps,
  call: Inbound['call'],
): Promise<void> {
  const chunks: Buffer[] = [];
  const gone = agentGone(response);
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const inbound: Inbound = {
    call,
    upstream: 'desk',
    method: request.method as Inbound['method'],
    headers: request.headers,
    proofs: ['p'],
    body: chunks.length === 0 ? undefined : Buffer.concat(chunks),
    agentGone: gone,
    elapsed: () => 1,
  };
  const result = await handleCall(inbound, deps);
  if (result.kind === 'answered') {
    const { relayed, sealEventId, signal } = result;
    await writeAnswer(response, relayed, { sealEventId, signal });
    return;
  }
  const { status, headers, body } = refusalToWire(result, 'http://127.0.0.1/metadata');
  response.writeHead(status, { ...headers, 'content-type': 'application/json' }).end(JSON.stringify(body));
}
