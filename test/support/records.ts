import { type AgentName, type CallId, createIdSource, type RunId, sha256 } from '../../src/base/index.ts';
import type { KeyThumbprint, SpiffeId, ToolPattern } from '../../src/identity/index.ts';
import type {
  Actor,
  IntentRecord,
  OutcomeRecord,
  RefusalRecord,
  RunCloseRecord,
  RunOpenRecord,
} from '../../src/intent-log/index.ts';

/** A fixed moment in milliseconds: 2026-03-01T12:00:00Z. */
export const NOON = Date.UTC(2026, 2, 1, 12);

const ids = createIdSource(() => NOON);

export const newRun = (): RunId => ids.runId();
export const newCall = (): CallId => ids.callId();

/** A run's first record; `over` sets what the test is about. */
export function runOpen(run: RunId, over: Partial<RunOpenRecord> = {}): RunOpenRecord {
  return {
    type: 'run.open',
    run,
    spiffeId: `spiffe://agents.example.org/agent/ops-desk/run/${run}` as SpiffeId,
    agent: 'ops-desk' as AgentName,
    owner: { kind: 'team', name: 'payments', contact: 'payments@example.org' },
    environment: 'dev',
    root: run,
    depth: 0,
    key: sha256(run) as KeyThumbprint,
    purpose: 'support',
    envelope: {
      tools: ['ops/*' as ToolPattern],
      maxCalls: 100,
      maxDepth: 1,
      expiresAt: NOON / 1000 + 3600,
    },
    evidence: { attestor: 'join-token', digest: sha256('evidence'), claims: { sub: 'ci' } },
    issuedAt: NOON / 1000,
    ...over,
  };
}

export function runClose(run: RunId, over: Partial<RunCloseRecord> = {}): RunCloseRecord {
  return { type: 'run.close', run, state: 'ended', by: 'agent', reason: 'done', ...over };
}

function actor(run: RunId): Actor {
  const chain = [`spiffe://agents.example.org/agent/ops-desk/run/${run}`];
  return { run, agent: 'ops-desk', owner: 'payments', chain, purpose: 'support' };
}

export function intent(run: RunId, call: CallId, over: Partial<IntentRecord> = {}): IntentRecord {
  return {
    type: 'intent',
    call,
    run,
    actor: actor(run),
    subject: {
      upstream: 'ops',
      method: 'tools/call',
      tool: 'list_inbox',
      pin: sha256('pin'),
      args: { mac: sha256('args'), bytes: 17 },
    },
    decision: { effect: 'permit', policies: ['read-inbox'], revision: 'r1' },
    proof: sha256(`proof ${call}`),
    rpcId: 7,
    ...over,
  };
}

export function outcome(
  run: RunId,
  call: CallId,
  leaf: string,
  over: Partial<OutcomeRecord> = {},
): OutcomeRecord {
  return {
    type: 'outcome',
    call,
    run,
    intent: leaf,
    status: 'ok',
    result: { mac: sha256('result'), bytes: 230 },
    credential: { id: call, kind: 'call-token', expiresAt: NOON / 1000 + 30 },
    micros: 12_300,
    ...over,
  };
}

export function refusal(run: RunId, call: CallId, over: Partial<RefusalRecord> = {}): RefusalRecord {
  return {
    type: 'refusal',
    call,
    run,
    actor: actor(run),
    subject: { upstream: 'ops', method: 'tools/call', tool: 'send_payment' },
    decision: {
      effect: 'forbid',
      policies: ['no-untrusted-payment'],
      revision: 'r1',
      code: 'forbidden_by_policy',
      reason: 'payments need a trusted source',
    },
    proof: sha256(`proof ${call}`),
    micros: 400,
    ...over,
  };
}
