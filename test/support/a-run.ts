import { type AgentName, createIdSource, sha256 } from '../../src/base/index.ts';
import type { Envelope, KeyThumbprint, Run, ToolPattern } from '../../src/identity/index.ts';
import { runSpiffeId, type TrustDomain } from '../../src/identity/index.ts';

const ids = createIdSource(Date.now);

export type RunOverrides = Partial<Omit<Run, 'envelope'>> & { readonly envelope?: Partial<Envelope> };

/** A root run with everything in it; overrides replace parts. Its key is a new one unless it is given. */
export function aRun(overrides: RunOverrides = {}): Run {
  const id = overrides.id ?? ids.runId();
  const agent = overrides.agent ?? ('ops-desk' as AgentName);
  const issuedAt = overrides.issuedAt ?? 1_800_000_000;
  return {
    spiffeId: runSpiffeId('agents.example.org' as TrustDomain, agent, id),
    owner: { kind: 'team', name: 'Operations', contact: 'ops@example.org' },
    environment: 'dev',
    depth: 0,
    key: sha256(id) as KeyThumbprint,
    intent: { purpose: 'triage' },
    evidence: { attestor: 'test', digest: sha256('assertion'), claims: {} },
    ...overrides,
    id,
    agent,
    issuedAt,
    root: overrides.root ?? id,
    envelope: {
      tools: ['desk/*' as ToolPattern],
      maxCalls: 10,
      maxDepth: 2,
      expiresAt: issuedAt + 3600,
      ...overrides.envelope,
    },
  };
}

/** A run that was delegated from another. */
export function aChildOf(parent: Run, overrides: RunOverrides = {}): Run {
  return aRun({
    agent: parent.agent,
    root: parent.root,
    parent: parent.id,
    depth: parent.depth + 1,
    issuedAt: parent.issuedAt,
    ...overrides,
    envelope: {
      ...parent.envelope,
      maxCalls: 4,
      maxDepth: parent.envelope.maxDepth - 1,
      ...overrides.envelope,
    },
  });
}
