import { type AgentName, ok, parseAgentName, type Result, toEpochSeconds } from '../base/index.ts';
import { claimProof, type Holder } from './accept-proof.ts';
import { type Agent, ceilingOf, declarationCeilingOf } from './agent-registry.ts';
import type { AttestationRefusal, Attested } from './attestors/index.ts';
import type { AuthorityDeps, TokenResponse } from './authority.ts';
import { declareWithin } from './declaration.ts';
import { narrow } from './envelope.ts';
import { inferCapabilities } from './infer-capabilities.ts';
import { parseIntentDetails, type WantedIntent, wantedEnvelope } from './intent-details.ts';
import { type KnownKey, openRun, renewRun } from './issue-run.ts';
import type { Run } from './run.ts';
import { parseSpiffeId, runSpiffeId } from './spiffe-id.ts';
import {
  AGENT_GONE,
  refuseDeclaration,
  refuseEnvelope,
  refuseToken,
  slowDown,
  type TokenError,
  type TokenRefusal,
} from './token-refusal.ts';
import type { AssertionRequest, CertificateRequest } from './token-request.ts';

/**
 * A root run for an assertion (RFC 7523) or a client certificate: attest, then renew the run that the request's key
 * stands for, or open a new one. The assertion belongs to the first key that came with it, so a stolen copy opens
 * nothing.
 */
export async function openAttestedRun(
  request: AssertionRequest | CertificateRequest,
  holder: Holder,
  deps: AuthorityDeps,
): Promise<Result<TokenResponse, TokenRefusal>> {
  const attested = await attest(request, holder, deps);
  if (!attested.ok) return attested;
  const fresh = await claimProof(holder, deps);
  if (!fresh.ok) return fresh;
  const agent = deps.agents.find(attested.value.agent);
  if (agent === undefined) return refuseToken('unauthorized_client', AGENT_GONE);
  const wait = deps.throttle?.(agent.name);
  if (wait !== undefined) return slowDown(wait);

  const wanted = intentOf(request.intent, attested.value);
  if (!wanted.ok) return wanted;
  const intent = wanted.value;
  const target = { resource: request.resource, binding: holder.binding };
  const known = await deps.runs.findByKey(agent.name, holder.thumbprint);
  if (known !== undefined) {
    const mine = await claimForRenewal(attested.value, known, holder, deps);
    return mine.ok ? renewRun(known, [intent], target, deps) : mine;
  }
  const run = draftRun(agent, attested.value, intent, holder, deps);
  if (!run.ok) return run;
  const mine = await claimAssertion(attested.value, holder, deps);
  return mine.ok ? openRun([run.value], target, deps, intent?.task) : mine;
}

/** The intent of the request, or the one in the agent's own assertion. In both it could be two. */
function intentOf(
  sent: WantedIntent | undefined,
  { intentDetails }: Attested,
): Result<WantedIntent | undefined, TokenRefusal> {
  if (intentDetails === undefined) return ok(sent);
  if (sent !== undefined) {
    const twice = 'authorization_details must be sent once: in the form or in the assertion';
    return refuseToken('invalid_authorization_details', twice);
  }
  const signed = parseIntentDetails(intentDetails);
  return signed.ok ? signed : refuseToken('invalid_authorization_details', signed.error);
}

async function attest(
  request: AssertionRequest | CertificateRequest,
  holder: Holder,
  deps: AuthorityDeps,
): Promise<Result<Attested, TokenRefusal>> {
  const { clientId } = request;
  const asAgent = clientId === undefined ? undefined : agentOf(clientId, deps);
  if (clientId !== undefined && asAgent === undefined) {
    return refuseToken(
      'unauthorized_client',
      'client_id must be the name or the SPIFFE ID of a registered agent',
    );
  }
  if (request.grant === 'certificate') return attestCertificate(holder, asAgent, deps);
  const { assertion, form } = request;
  const attestor = deps.attestors.find((one) => one.forms.includes(form) && one.recognises(assertion));
  const failure: TokenError = form === 'grant' ? 'invalid_grant' : 'invalid_client'; // RFC 7521 §4.1.1, §4.2.1
  if (attestor === undefined) {
    return refuseToken(failure, 'the assertion is of no issuer that this gateway trusts for this grant');
  }
  const attested = await attestor.attest(assertion, asAgent);
  return attested.ok ? attested : refuseAttestation(attested.error, failure);
}

function attestCertificate(
  holder: Holder,
  asAgent: AgentName | undefined,
  { certificates = [] }: AuthorityDeps,
): Result<Attested, TokenRefusal> {
  if (holder.binding !== 'x5t#S256') {
    return refuseToken(
      'invalid_client',
      'client_credentials needs a client_assertion, or a client certificate on the TLS listener of its trust domain',
    );
  }
  const attestor = certificates.find(({ trustDomain }) => trustDomain === holder.svid.trustDomain);
  if (attestor === undefined) return refuseToken('invalid_client', 'no attestor is for this trust domain');
  const attested = attestor.attest(holder.svid, asAgent);
  return attested.ok ? attested : refuseAttestation(attested.error, 'invalid_client');
}

function refuseAttestation(
  { reason, detail }: AttestationRefusal,
  failure: TokenError,
): Result<never, TokenRefusal> {
  switch (reason) {
    case 'invalid':
      return refuseToken(failure, detail);
    case 'issuer_unavailable':
      return refuseToken('temporarily_unavailable', detail);
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

/** A stranger's assertion does not renew; one that is new to us is the run's from now on, also after a restart. */
async function claimForRenewal(
  attested: Attested,
  known: KnownKey,
  holder: Holder,
  deps: AuthorityDeps,
): Promise<Result<void, TokenRefusal>> {
  const claimed = await claimAssertion(attested, holder, deps);
  if (!claimed.ok) return claimed;
  if (claimed.value === 'first' && known !== 'forgotten' && known.state === 'live') {
    await deps.journal.renewed(known.run, attested.evidence, attested.expiresAt);
  }
  return ok(undefined);
}

async function claimAssertion(
  { evidence, expiresAt, onlyOnce }: Attested,
  { thumbprint, binding }: Holder,
  { singleUse, newTokenId }: AuthorityDeps,
): Promise<Result<'first' | 'again', TokenRefusal>> {
  if (binding === 'x5t#S256' && evidence.digest === thumbprint) return ok('again'); // the certificate is the key
  if (onlyOnce !== undefined) {
    const use = await singleUse.claim('assertion', onlyOnce, newTokenId(), expiresAt);
    if (use !== 'first')
      return refuseToken('invalid_client', 'the client assertion was used before; sign one with a new jti');
  }
  const claimed = await singleUse.claim('assertion', evidence.digest, thumbprint, expiresAt);
  return claimed === 'taken'
    ? refuseToken('invalid_grant', 'the assertion was used with another key; get a new one for a new run')
    : ok(claimed);
}

function draftRun(
  agent: Agent,
  attested: Attested,
  intent: WantedIntent | undefined,
  holder: Holder,
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
    key: holder.thumbprint,
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
