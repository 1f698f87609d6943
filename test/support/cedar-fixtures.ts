import { createIdSource, type JsonObject, parseAgentName, parseUpstreamName } from '../../src/base/index.ts';
import {
  type AuthorizationRequest,
  type Catalogue,
  createPdp,
  type Decision,
  type Pdp,
  pinUpstream,
  type RunFacts,
  type ToolSettings,
} from '../../src/cedar/index.ts';
import type { Caller, KeyThumbprint, Run, SpiffeId, ToolPattern } from '../../src/identity/index.ts';

/** Saturday 2026-01-03 10:30:00.000 UTC. */
export const NOW = Date.UTC(2026, 0, 3, 10, 30);

const ids = createIdSource(() => NOW);

export function upstreamName(text: string) {
  const name = parseUpstreamName(text);
  if (name === undefined) throw new TypeError(`not an upstream name: ${text}`);
  return name;
}

export function agentName(text: string) {
  const name = parseAgentName(text);
  if (name === undefined) throw new TypeError(`not an agent name: ${text}`);
  return name;
}

export const tool = (
  name: string,
  inputSchema: JsonObject | boolean,
  annotations: JsonObject = {},
): JsonObject => {
  return { name, inputSchema, annotations };
};

export const objectOf = (properties: JsonObject, required: readonly string[] = []): JsonObject => {
  return { type: 'object', properties, required };
};

const READ_ONLY = { readOnlyHint: true, openWorldHint: false };

/** Tools of a mail server, a payment server and a file server, with a bit of everything a schema can hold. */
export const MAIL_TOOLS: readonly JsonObject[] = [
  tool('search', objectOf({ query: { type: 'string' }, limit: { type: 'integer' } }, ['query']), READ_ONLY),
  tool(
    'send',
    objectOf(
      {
        to: { type: 'array', items: { type: 'string' } },
        subject: { type: 'string' },
        body: { type: 'string' },
        headers: { type: 'object', additionalProperties: { type: 'string' } },
      },
      ['to', 'body'],
    ),
    { destructiveHint: false },
  ),
];

export const PAY_TOOLS: readonly JsonObject[] = [
  tool(
    'transfer',
    objectOf(
      {
        to: { type: 'string' },
        amount: { type: 'number' },
        currency: { type: 'string', enum: ['EUR', 'USD'] },
        due: { type: 'string', format: 'date-time' },
        memo: { type: ['string', 'null'] },
      },
      ['to', 'amount', 'currency'],
    ),
    { destructiveHint: true, openWorldHint: false },
  ),
];

export const FILE_TOOLS: readonly JsonObject[] = [
  tool('read', objectOf({ path: { type: 'string' } }, ['path']), READ_ONLY),
  tool('delete-tree', objectOf({ path: { type: 'string' } }, ['path']), { openWorldHint: false }),
];

type Upstreams = Record<string, readonly JsonObject[]>;

export function catalogueOf(
  upstreams: Upstreams,
  options: { settings?: Record<string, Record<string, ToolSettings>>; methods?: readonly string[] } = {},
): Catalogue {
  return {
    upstreams: Object.entries(upstreams).map(([name, definitions]) =>
      pinUpstream(
        {
          name: upstreamName(name),
          environment: 'prod',
          methods: options.methods ?? [],
          settings: options.settings?.[name] ?? {},
        },
        definitions,
      ),
    ),
    labels: ['pii', 'private', 'secret', 'untrusted'],
    purposes: ['monthly-payout', 'triage-inbox'],
    environments: ['dev', 'prod'],
  };
}

export const CATALOGUE = catalogueOf(
  { mail: MAIL_TOOLS, pay: PAY_TOOLS, files: FILE_TOOLS },
  {
    methods: ['desk/ring'],
  },
);

/** A run of the agent `clerk`, owned by a team, with every tool of the fixture granted. */
export function runOf(changes: Partial<Omit<Run, 'agent'>> & { agent?: string } = {}): Run {
  const { agent = 'clerk', ...rest } = changes;
  const id = ids.runId();
  return {
    id,
    spiffeId: `spiffe://test.example/agent/${agent}/run/${id}` as SpiffeId,
    agent: agentName(agent),
    owner: { kind: 'team', name: 'support', contact: 'support@test.example' },
    environment: 'prod',
    root: id,
    depth: 0,
    key: 'thumbprint' as KeyThumbprint,
    intent: { purpose: 'triage-inbox', taskDigest: 'digest' },
    envelope: {
      tools: ['mail/*', 'pay/*', 'files/*', 'odd/*'] as ToolPattern[],
      maxCalls: 100,
      maxDepth: 2,
      expiresAt: NOW / 1000 + 3600,
    },
    evidence: { attestor: 'test', digest: 'digest', claims: {} },
    issuedAt: NOW / 1000,
    ...rest,
  };
}

export function callerOf(...chain: [Run, ...Run[]]): Caller {
  return { chain, pop: 'dpop', tokenId: 'token', proofId: 'proof' };
}

export const FACTS: RunFacts = { calls: 0, toolCalls: 0, denials: 0, inFlight: 0, labels: [] };

type Request = Partial<Pick<AuthorizationRequest, 'caller' | 'credential' | 'now'>> & {
  facts?: Partial<RunFacts>;
};

/** A request to call `<upstream>/<tool>`. */
export function toolCall(name: string, args: JsonObject, request: Request = {}): AuthorizationRequest {
  const [upstream = '', ...tool] = name.split('/');
  return fill({ kind: 'tool', upstream: upstreamName(upstream), tool: tool.join('/'), args }, request);
}

/** A target as the PDP knows it: with the digest of what is pinned. */
export function pinned(target: AuthorizationRequest['target'], catalogue: Catalogue = CATALOGUE) {
  if (target.kind !== 'tool') return target;
  const tools = catalogue.upstreams.find(({ name }) => name === target.upstream)?.tools;
  const definition = tools?.find(({ name }) => name === target.tool)?.digest;
  return definition === undefined ? target : { ...target, definition };
}

/** A request for a method of an upstream. */
export function methodCall(upstream: string, method: string, params: JsonObject = {}, request: Request = {}) {
  return fill({ kind: 'method', upstream: upstreamName(upstream), method, params }, request);
}

function fill(target: AuthorizationRequest['target'], request: Request): AuthorizationRequest {
  const { caller = callerOf(runOf()), credential = 'call-token', now = NOW } = request;
  return { caller, target, facts: { ...FACTS, ...request.facts }, credential, now };
}

/** A PDP for policies written inline. */
export function pdpFor(policies: string, catalogue: Catalogue = CATALOGUE): Pdp {
  return createPdp({ catalogue, policies: [{ file: 'inline.cedar', text: policies }] });
}

/** `permit`, or the code of the refusal. */
export const outcome = (decision: Decision): string => {
  return decision.effect === 'permit' ? 'permit' : decision.code;
};

export const PERMIT_ALL = '@id("all") permit(principal, action, resource);\n';
