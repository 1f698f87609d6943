import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createIdSource, parseUpstreamName, type Result, type UpstreamName } from '../../src/base/index.ts';
import {
  type AgentEntry,
  type AuthorityDeps,
  authorityUrls,
  createAgentRegistry,
  createJoinTokens,
  createProofVerifier,
  createRunTokenVerifier,
  type Ending,
  handleTokenRequest,
  type JoinTokens,
  parseTrustDomain,
  type Run,
  type RunJournal,
  type RunStore,
  type SigningKeys,
  type TokenRefusal,
  type TokenResponse,
} from '../../src/identity/index.ts';
import { createSigningKeys } from '../../src/identity/signing-keys.ts';
import { createEmbeddedRuns } from '../../src/storage/embedded/run-store.ts';
import { createEmbeddedSingleUse } from '../../src/storage/embedded/single-use.ts';
import type { AgentKey } from './agent-key.ts';
import { type ManualClock, manualClock } from './manual-clock.ts';

export const PUBLIC_URL = 'https://gateway.example.org';

export const AGENTS: readonly AgentEntry[] = [
  {
    name: 'ops-desk',
    owner: { kind: 'team', name: 'Operations', contact: 'ops@example.org' },
    environment: 'dev',
    purposes: ['triage', 'report'],
    tools: ['desk/*', 'files/read_file'],
    maxCalls: 100,
    maxDepth: 2,
    maxRunSeconds: 3600,
  },
  {
    name: 'clerk',
    owner: { kind: 'person', name: 'Robin', contact: 'robin@example.org' },
    environment: 'dev',
    purposes: ['filing'],
    tools: ['files/*'],
    maxCalls: 5,
    maxDepth: 0,
    maxRunSeconds: 600,
  },
];

/** A journal in memory. `fail` makes every later write reject. */
export type FakeJournal = RunJournal & {
  readonly entries: {
    readonly type: 'opened' | 'closed';
    readonly run: string;
    readonly ending?: Ending;
  }[];
  /** Assertions that renewed a run. */
  readonly renewals: { readonly run: string; readonly digest: string; readonly until: number }[];
  fail: boolean;
};

export function fakeJournal(): FakeJournal {
  const journal: FakeJournal = {
    entries: [],
    renewals: [],
    fail: false,
    async opened(run) {
      if (journal.fail) throw new Error('disk is full');
      journal.entries.push({ type: 'opened', run: run.id });
    },
    async renewed({ id }, { digest }, until) {
      if (journal.fail) throw new Error('disk is full');
      journal.renewals.push({ run: id, digest, until });
    },
    async closed(runs, ending) {
      if (journal.fail) throw new Error('disk is full');
      for (const run of runs) journal.entries.push({ type: 'closed', run: run.id, ending });
    },
  };
  return journal;
}

export function testSigningKeys(count = 1): SigningKeys {
  const keys = Array.from({ length: count }, (_, index) => ({
    kid: `key-${index}-${randomUUID()}`,
    privateKey: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
    createdAt: 0,
  }));
  return createSigningKeys({ active: keys[0]?.kid ?? '', keys, sequence: 1 });
}

export type TestAuthority = {
  readonly deps: AuthorityDeps;
  readonly clock: ManualClock;
  readonly journal: FakeJournal;
  readonly joinTokens: JoinTokens;
  readonly keys: SigningKeys;
};

/** An authorization server with everything real but its clock and its disk. */
export function createTestAuthority(
  overrides: Partial<AuthorityDeps> = {},
  clock = manualClock(),
): TestAuthority {
  const { now } = clock;
  const keys = overrides.keys ?? testSigningKeys();
  const journal = fakeJournal();
  const joinTokens = createJoinTokens({ now, production: false });
  const usedKeys = new Set<string>();
  const upstreams = ['desk', 'files'].map((name) => parseUpstreamName(name) as UpstreamName);
  const urls = authorityUrls(PUBLIC_URL, upstreams);
  const trustDomain = parseTrustDomain('agents.example.org');
  if (trustDomain === undefined) throw new Error('trust domain');
  const deps: AuthorityDeps = {
    urls,
    trustDomain,
    agents: createAgentRegistry(AGENTS),
    attestors: [joinTokens],
    keys,
    tokens: createRunTokenVerifier({ keys, issuer: urls.issuer, now }),
    proofs: createProofVerifier(now),
    runs: createEmbeddedRuns({
      now,
      runs: [],
      proofs: [],
      keyWasUsed: async (agent, key) => usedKeys.has(`${agent} ${key}`),
    }).runs,
    journal: {
      async opened(run: Run) {
        await journal.opened(run);
        usedKeys.add(`${run.agent} ${run.key}`);
      },
      renewed: journal.renewed,
      closed: journal.closed,
    },
    singleUse: createEmbeddedSingleUse({ now }),
    ids: createIdSource(now),
    newTokenId: randomUUID,
    now,
    ...overrides,
  };
  return { deps, clock, journal, joinTokens, keys };
}

export const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';

/** One entry of `authorization_details` as a form field. */
export function intentField(members: Record<string, unknown>): string {
  return JSON.stringify([{ type: 'sallyport_intent', ...members }]);
}

/** Posts a form to the token endpoint with a good proof by `key`. */
export function requestToken(
  form: Record<string, string>,
  key: AgentKey,
  { deps }: TestAuthority,
): Promise<Result<TokenResponse, TokenRefusal>> {
  const proof = key.prove({ url: deps.urls.tokenEndpoint });
  return handleTokenRequest(new Map(Object.entries(form)), { dpop: proof }, deps);
}

/** Opens a root run with a join token and returns the answer. Throws when it is refused. */
export async function openTestRun(
  key: AgentKey,
  authority: TestAuthority,
  intent: Record<string, unknown> = { purpose: 'triage' },
  form: Record<string, string> = {},
): Promise<TokenResponse> {
  const agent = authority.deps.agents.list()[0];
  if (agent === undefined) throw new Error('no agent');
  const fields = {
    grant_type: JWT_BEARER,
    assertion: authority.joinTokens.issue(agent.name),
    authorization_details: intentField(intent),
    ...form,
  };
  return unwrap(await requestToken(fields, key, authority));
}

/** Asks for a delegation grant. */
export function requestGrant(
  parentToken: string,
  parentKey: AgentKey,
  authority: TestAuthority,
  intent: Record<string, unknown> = { purpose: 'triage', max_calls: 10 },
  form: Record<string, string> = {},
): Promise<Result<TokenResponse, TokenRefusal>> {
  const fields = {
    grant_type: TOKEN_EXCHANGE,
    subject_token: parentToken,
    subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    requested_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    authorization_details: intentField(intent),
    ...form,
  };
  return requestToken(fields, parentKey, authority);
}

/** Redeems a delegation grant with the child's own key. */
export function redeemGrant(
  grant: string,
  childKey: AgentKey,
  authority: TestAuthority,
  form: Record<string, string> = {},
): Promise<Result<TokenResponse, TokenRefusal>> {
  return requestToken({ grant_type: JWT_BEARER, assertion: grant, ...form }, childKey, authority);
}

export function unwrap<T>(result: Result<T, unknown>): T {
  if (!result.ok) throw new Error(`refused: ${JSON.stringify(result.error)}`);
  return result.value;
}

/** A run store that answers nothing. */
export function brokenRunStore(): RunStore {
  const fail = async (): Promise<never> => {
    throw new Error('store is down');
  };
  return { open: fail, findByKey: fail, find: fail, admit: fail, end: fail, live: fail, overdue: fail };
}
