import { type AgentName, ok, parseAgentName, type Result, toEpochSeconds } from '../base/index.ts';
import { claimProof } from './accept-proof.ts';
import { type Agent, ceilingOf, declarationCeilingOf } from './agent-registry.ts';
import type { Attested } from './attestors/index.ts';
import type { AuthorityDeps, TokenResponse } from './authority.ts';
import { declareWithin } from './declaration.ts';
import type { Proof } from './dpop.ts';
import { narrow } from './envelope.ts';
import { inferCapabilities } from './infer-capabilities.ts';
import { type WantedIntent, wantedEnvelope } from './intent-details.ts';
import { openRun, renewRun } from './issue-run.ts';
import type { Run } from './run.ts';
import { parseSpiffeId, runSpiffeId } from './spiffe-id.ts';
import { refuseDeclaration, refuseEnvelope, refuseToken, type TokenRefusal } from './token-refusal.ts';
import type { AssertionRequest } from './token-request.ts';

/**
 * A root run for an assertion (RFC 7523): attest, then renew the run that the proof's key stands for, or open a
 * new one. The assertion belongs to the first key that came with it, so a stolen copy opens nothing.
 */
export async function openAttestedRun(
  request: AssertionRequest,
  proof: Proof,
  deps: AuthorityDeps,
): Promise<Result<TokenResponse, TokenRefusal>> {
  const attested = await attest(request, deps);
  if (!attested.ok) return attested;
  const fresh = await claimProof(proof, deps);
  if (!fresh.ok) return fresh;
  const agent = deps.agents.find(attested.value.agent);
  if (agent === undefined)
    return refuseToken('unauthorized_client', 'the agent is not registered; ask its owner');

  const known = await deps.runs.findByKey(agent.name, proof.thumbprint);
  if (known !== undefined) {
    const mine = await claimAssertion(attested.value, proof, deps);
    return mine.ok ? renewRun(known, [request.intent], request.resource, deps) : mine;
  }
  const run = draftRun(agent, attested.value, request.intent, proof, deps);
  if (!run.ok) return run;
  const mine = await claimAssertion(attested.value, proof, deps);
  return mine.ok ? openRun([run.value], request.resource, deps, request.intent?.task) : mine;
}

async function attest(
  request: AssertionRequest,
  deps: AuthorityDeps,
): Promise<Result<Attested, TokenRefusal>> {
  const { assertion, clientId } = request;
  const attestor = deps.attestors.find((candidate) => candidate.recognises(assertion));
  if (attestor === undefined) {
    return refuseToken('invalid_grant', 'the assertion is of no issuer that this gateway trusts');
  }
  const asAgent = clientId === undefined ? undefined : agentOf(clientId, deps);
  if (clientId !== undefined && asAgent === undefined) {
    return refuseToken(
      'unauthorized_client',
      'client_id must be the name or the SPIFFE ID of a registered agent',
    );
  }
  const attested = await attestor.attest(assertion, asAgent);
  if (attested.ok) return attested;
  switch (attested.error.reason) {
    case 'invalid':
      return refuseToken('invalid_grant', attested.error.detail);
    case 'issuer_unavailable':
      return refuseToken('temporarily_unavailable', attested.error.detail);
  }
}

/** The agent a `client_id` names, by name or SPIFFE ID. */
export function agentOf(
  clientId: string,
  { agents, trustDomain }: Pick<AuthorityDeps, 'agents' | 'trustDomain'>,
): AgentName | undefined {
  const id = parseSpiffeId(clientId);
  const isOurs = id?.kind === 'agent' && id.trustDomain === trustDomain;
  const name = isOurs ? id.agent : parseAgentName(clientId);
  return name === undefined ? undefined : agents.find(name)?.name;
}

async function claimAssertion(
  { evidence, expiresAt }: Attested,
  { thumbprint }: Proof,
  { singleUse }: AuthorityDeps,
): Promise<Result<void, TokenRefusal>> {
  const claimed = await singleUse.claim('assertion', evidence.digest, thumbprint, expiresAt);
  return claimed === 'taken'
    ? refuseToken('invalid_grant', 'the assertion was used with another key; get a new one for a new run')
    : ok(undefined);
}

function draftRun(
  agent: Agent,
  attested: Attested,
  intent: WantedIntent | undefined,
  proof: Proof,
  deps: AuthorityDeps,
): Result<Run, TokenRefusal> {
  const issuedAt = toEpochSeconds(deps.now());
  if (issuedAt >= attested.opensRunsUntil) {
    return refuseToken('invalid_grant', 'the assertion is too old to open a run; get a new one');
  }
  if (intent === undefined || !agent.purposes.includes(intent.purpose)) {
    const purposes = agent.purposes.join(', ');
    return refuseToken(
      'invalid_authorization_details',
      `authorization_details must declare a purpose: one of ${purposes}`,
    );
  }
  const envelope = narrow(ceilingOf(agent, issuedAt), wantedEnvelope(intent, issuedAt));
  if (!envelope.ok) return refuseEnvelope(envelope.error);
  const declared = declareRoot(agent, intent);
  if (!declared.ok) return declared;
  const id = deps.ids.runId();
  return ok({
    id,
    spiffeId: runSpiffeId(deps.trustDomain, agent.name, id),
    agent: agent.name,
    owner: agent.owner,
    environment: agent.environment,
    root: id,
    depth: 0,
    key: proof.thumbprint,
    intent: declared.value,
    envelope: envelope.value,
    evidence: attested.evidence,
    issuedAt,
  });
}

/**
 * What a run that nobody delegated to declares. What it does not state it does not have, but for capabilities,
 * which its task may suggest when it is not held to them.
 */
function declareRoot(agent: Agent, wanted: WantedIntent): Result<Run['intent'], TokenRefusal> {
  const { purpose, taskDigest, task } = wanted;
  const ceiling = declarationCeilingOf(agent, purpose);
  const isStrict = wanted.strict === true || ceiling.strict === true;
  const canInfer = wanted.capabilities === undefined && task !== undefined && !isStrict;
  const inferred = canInfer ? inferCapabilities(task, ceiling.capabilities) : [];
  const declared = declareWithin(ceiling, {
    capabilities: inferred,
    addressees: [],
    sources: [],
    ...wanted,
    ...(inferred.length > 0 ? { inferred: true } : {}),
  });
  if (!declared.ok) return refuseDeclaration(declared.error);
  return ok({ purpose, ...(taskDigest === undefined ? {} : { taskDigest }), ...declared.value });
}
