import { createIdSource, parseAgentName, systemClock } from '../../src/base/index.ts';
import {
  type AuthorizationRequest,
  type Catalogue,
  createPdp,
  type Decision,
  type PinnedTool,
  type PolicySource,
} from '../../src/cedar/index.ts';
import {
  createProvenanceSecret,
  openProvenance,
  type ProvenanceIndex,
} from '../../src/cedar/provenance/index.ts';
import type { Caller, KeyThumbprint, Run, SpiffeId, ToolPattern } from '../../src/identity/index.ts';
import type { Case, RecordedCall } from './cases.ts';

/** What was decided on one call of a case. */
export type CallVerdict = {
  readonly call: RecordedCall;
  readonly decision: Decision;
};

/** Where the capabilities of a run come from. */
export type IntentSource = (recorded: Case) => { capabilities: readonly string[]; inferred: boolean };

export type Replayer = (recorded: Case, intent: IntentSource) => readonly CallVerdict[];

type ReplayInput = {
  readonly catalogue: Catalogue;
  readonly policies: readonly PolicySource[];
  readonly principals: ReadonlyMap<string, readonly string[]>;
};

const ids = createIdSource(systemClock);

/**
 * Decides every call of a recorded run by the PDP, in order, and feeds the recorded results on, whatever was decided:
 * open loop, so that each call is judged with everything the agent had seen.
 */
export function createReplayer({ catalogue, policies, principals }: ReplayInput): Replayer {
  const pdp = createPdp({ catalogue, policies });
  const secret = createProvenanceSecret();
  return (recorded, intent) => {
    const caller = callerOf(recorded, intent);
    const provenance = openProvenance({ secret });
    provenance.observePrincipal(principals.get(recorded.suite) ?? []);
    provenance.observeIntent({ text: recorded.request });
    return recorded.calls.map((call) => {
      const request = requestOf(recorded.suite, call, { caller, provenance, catalogue });
      const decision = pdp.decide(request);
      const tool = toolOf(catalogue, recorded.suite, call.tool);
      if (tool !== undefined) observe(call, tool, provenance);
      return { call, decision };
    });
  };
}

function toolOf(catalogue: Catalogue, suite: string, name: string): PinnedTool | undefined {
  const upstream = catalogue.upstreams.find((one) => one.name === suite);
  return upstream?.tools.find((tool) => tool.name === name);
}

type RequestDeps = { caller: Caller; provenance: ProvenanceIndex; catalogue: Catalogue };

function requestOf(suite: string, call: RecordedCall, deps: RequestDeps): AuthorizationRequest {
  const { caller, provenance, catalogue } = deps;
  const upstream = catalogue.upstreams.find((one) => one.name === suite);
  if (upstream === undefined) throw new Error(`tool_catalogue.jsonl has no tools of the suite ${suite}`);
  const tool = toolOf(catalogue, suite, call.tool);
  return {
    caller,
    target: { kind: 'tool', upstream: upstream.name, tool: call.tool, args: call.args },
    facts: { calls: 0, toolCalls: 0, denials: 0, inFlight: 0, labels: [] },
    credential: 'call-token',
    now: systemClock(),
    ...(tool === undefined ? {} : { provenance: provenance.explain(call.args, tool.annotations) }),
  };
}

function observe(call: RecordedCall, { annotations }: PinnedTool, provenance: ProvenanceIndex): void {
  const observed = { call: ids.callId(), annotations, args: call.args };
  provenance.observeArguments(observed);
  const text = call.error ?? call.result ?? '';
  const labels = annotations.resultTrust === 'own' ? [] : ['untrusted'];
  provenance.observeResult({ ...observed, labels, result: { content: [{ type: 'text', text }] } });
}

function callerOf(recorded: Case, intent: IntentSource): Caller {
  const { capabilities, inferred } = intent(recorded);
  const id = ids.runId();
  const agent = parseAgentName('bench');
  if (agent === undefined) throw new TypeError('not an agent name');
  const now = Math.floor(systemClock() / 1000);
  const run: Run = {
    id,
    spiffeId: `spiffe://bench.example/agent/bench/run/${id}` as SpiffeId,
    agent,
    owner: { kind: 'team', name: 'bench', contact: 'bench@bench.example' },
    environment: 'bench',
    root: id,
    depth: 0,
    key: 'thumbprint' as KeyThumbprint,
    intent: {
      purpose: 'replay',
      taskDigest: 'digest',
      capabilities: [...capabilities].sort(),
      ...(inferred ? { inferred: true as const } : {}),
    },
    envelope: {
      tools: [`${recorded.suite}/*`] as ToolPattern[],
      maxCalls: 1_000,
      maxDepth: 0,
      expiresAt: now + 3_600,
    },
    evidence: { attestor: 'bench', digest: 'digest', claims: {} },
    issuedAt: now,
  };
  return { chain: [run], pop: 'dpop', tokenId: 'token', proofId: 'proof' };
}
