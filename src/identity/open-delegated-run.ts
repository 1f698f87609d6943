import { ok, type Result, sha256, toEpochSeconds } from '../base/index.ts';
import { claimProof, type Holder } from './accept-proof.ts';
import { findLiveChain } from './ancestry.ts';
import type { AuthorityDeps, TokenResponse } from './authority.ts';
import { ceilingOfIntent, declareWithin } from './declaration.ts';
import { type DelegationGrant, verifyGrant } from './delegation-grant.ts';
import { childCeiling, narrow } from './envelope.ts';
import { type WantedIntent, wantedEnvelope } from './intent-details.ts';
import { openRun, renewRun } from './issue-run.ts';
import { agentOf } from './open-attested-run.ts';
import type { Chain, Envelope, Run } from './run.ts';
import { runSpiffeId } from './spiffe-id.ts';
import {
  AGENT_GONE,
  refuseDeclaration,
  refuseEnvelope,
  refuseToken,
  type TokenRefusal,
} from './token-refusal.ts';
import type { AssertionRequest } from './token-request.ts';

/**
 * A child run for a delegation grant. The key of the proof becomes the child's key; the grant belongs to the
 * first key that redeems it. A fresh grant of the same parent renews the child that the key stands for: as long
 * as the parent vouches for it.
 */
export async function openDelegatedRun(
  request: AssertionRequest,
  holder: Holder,
  deps: AuthorityDeps,
): Promise<Result<TokenResponse, TokenRefusal>> {
  const grant = verifyGrant(request.assertion, deps);
  if (!grant.ok) return refuseToken('invalid_grant', `the grant cannot be redeemed: ${grant.error}`);
  const found = await deps.runs.find(grant.value.parent);
  const parents = found === undefined ? undefined : await findLiveChain(found.run, deps);
  if (parents === undefined) return refuseToken('invalid_grant', 'the run that delegated is over');
  const fresh = await claimProof(holder, deps);
  if (!fresh.ok) return fresh;
  const refused = refuseKeyOrClient(request, holder, parents, deps);
  if (refused !== undefined) return refused;

  const known = await deps.runs.findByKey(parents[0].agent, holder.thumbprint);
  if (known !== undefined && known !== 'forgotten' && known.run.parent !== parents[0].id) {
    return refuseToken('invalid_grant', 'this key stands for another run; make a new key for a new run');
  }
  const child = known === undefined ? draftChild(grant.value, request, holder, parents[0], deps) : undefined;
  if (child?.ok === false) return child;
  const { id, expiresAt } = grant.value;
  const claimed = await deps.singleUse.claim('grant', id, holder.thumbprint, expiresAt);
  if (claimed === 'taken')
    return refuseToken('invalid_grant', 'the grant was redeemed before; ask for a new one');
  const target = { resource: request.resource, binding: holder.binding };
  if (child !== undefined) return openRun([child.value, ...parents], target, deps);
  const { expiresIn: _, ...regranted } = grant.value.intent; // counted from now, not from the start of the child
  return renewRun(known ?? 'forgotten', [request.intent, regranted], target, deps);
}

function refuseKeyOrClient(
  { clientId }: AssertionRequest,
  { thumbprint }: Holder,
  parents: Chain,
  deps: AuthorityDeps,
): Result<never, TokenRefusal> | undefined {
  if (deps.agents.find(parents[0].agent) === undefined) return refuseToken('unauthorized_client', AGENT_GONE);
  if (parents.some((run) => run.key === thumbprint)) {
    return refuseToken('invalid_grant', 'a run cannot delegate to itself; the sub-agent needs its own key');
  }
  if (clientId !== undefined && agentOf(clientId, deps) !== parents[0].agent) {
    return refuseToken(
      'unauthorized_client',
      'client_id must be the agent of the run that delegated, or absent',
    );
  }
  return undefined;
}

function draftChild(
  grant: DelegationGrant,
  request: AssertionRequest,
  holder: Holder,
  parent: Run,
  deps: AuthorityDeps,
): Result<Run, TokenRefusal> {
  const issuedAt = toEpochSeconds(deps.now());
  const intent = agreeOnIntent(grant.intent, request.intent, parent);
  if (!intent.ok) return intent;
  const envelope = childEnvelope(grant, request.intent, parent, issuedAt);
  if (!envelope.ok) return envelope;
  const id = deps.ids.runId();
  return ok({
    id,
    spiffeId: runSpiffeId(deps.trustDomain, parent.agent, id),
    agent: parent.agent,
    owner: parent.owner,
    environment: parent.environment,
    root: parent.root,
    parent: parent.id,
    depth: parent.depth + 1,
    key: holder.thumbprint,
    intent: intent.value,
    envelope: envelope.value,
    evidence: {
      attestor: 'delegation',
      digest: sha256(request.assertion),
      claims: { parent: parent.id, grant: grant.id },
    },
    issuedAt,
  });
}

/**
 * The child may say less than the grant or the same; what it says must not contradict it. It is measured once
 * more against the parent.
 *
 * INVARIANT: a child declares a subset of what its parent declared.
 */
function agreeOnIntent(
  granted: WantedIntent,
  wanted: WantedIntent | undefined,
  parent: Run,
): Result<Run['intent'], TokenRefusal> {
  const taskDigest = wanted?.taskDigest ?? granted.taskDigest;
  const isSameTask = granted.taskDigest === undefined || granted.taskDigest === taskDigest;
  if (!isSameTask || (wanted !== undefined && wanted.purpose !== granted.purpose)) {
    return refuseToken('invalid_authorization_details', 'purpose and task_digest must be those of the grant');
  }
  const asked = declareWithin(ceilingOfIntent(granted), wanted ?? {});
  if (!asked.ok) return refuseDeclaration(asked.error);
  const nothing = { capabilities: [], addressees: [], sources: [] }; // what was not asked for is not inherited here
  const declared = declareWithin(ceilingOfIntent(parent.intent), { ...nothing, ...asked.value });
  if (!declared.ok) return refuseDeclaration(declared.error);
  const { purpose } = granted;
  return ok({ purpose, ...(taskDigest === undefined ? {} : { taskDigest }), ...declared.value });
}

/**
 * What the grant gives, cut down to what the child asks, measured once more against the parent.
 *
 * INVARIANT: a child's envelope is a subset of its parent's.
 */
function childEnvelope(
  { intent: { tools, maxCalls, maxDepth, expiresIn } }: DelegationGrant,
  wanted: WantedIntent | undefined,
  parent: Run,
  issuedAt: number,
): Result<Envelope, TokenRefusal> {
  const granted = { tools, maxCalls, maxDepth, expiresAt: issuedAt + expiresIn };
  const asked = narrow(granted, wanted === undefined ? {} : wantedEnvelope(wanted, issuedAt));
  if (!asked.ok) return refuseEnvelope(asked.error);
  const ceiling = childCeiling(parent.envelope);
  if (!ceiling.ok) return refuseEnvelope(ceiling.error);
  const expiresAt = Math.min(asked.value.expiresAt, parent.envelope.expiresAt); // the grant was made some seconds ago
  const envelope = narrow(ceiling.value, { ...asked.value, expiresAt });
  return envelope.ok ? envelope : refuseEnvelope(envelope.error);
}
