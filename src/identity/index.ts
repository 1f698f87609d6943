export type { Holder, ShownKey } from './accept-proof.ts';
export {
  type Agent,
  type AgentEntry,
  type AgentRegistry,
  type AttestationEntry,
  createAgentRegistry,
  type LiveAgentRegistry,
  parseAgent,
  type RegisteredAgent,
} from './agent-registry.ts';
export {
  type AssertionForm,
  type AttestationRefusal,
  type Attested,
  type Attestor,
  type CertificateAttestor,
  type ClaimRule,
  claimAt,
  claimRuleProblems,
  createIssuerTokens,
  createJoinTokens,
  createJwtAttestor,
  createPrivateKeyJwtAttestor,
  createSafeFetch,
  createSpiffeJwtAttestor,
  createX509Attestor,
  type Fetch,
  isReachable,
  type JoinTokens,
  type JwtAttestorDeps,
  type JwtAttestorEntry,
  PRESETS,
  type PresetName,
  type PrivateKeyJwtEntry,
  parseTrustAnchors,
  parseX509Svid,
  type Reach,
  reachOf,
  ruleProblems,
  type SpiffeJwtEntry,
  urlProblem,
  type X509AttestorEntry,
  type X509Svid,
} from './attestors/index.ts';
export { type AuthChallenge, authFailureToChallenge } from './auth-challenge.ts';
export {
  type AuthenticateDeps,
  type AuthenticationRequest,
  type AuthFailure,
  authenticate,
} from './authenticate.ts';
export type { AuthorityDeps, TokenResponse } from './authority.ts';
export {
  type AuthorityUrls,
  acceptedAudiences,
  authorityUrls,
  gatewayResource,
  resourceMetadataUrl,
  upstreamResource,
} from './authority-urls.ts';
export {
  type CallToken,
  type CallTokenRequest,
  digestArgs,
  type MintDeps,
  mintCallToken,
} from './call-token.ts';
export { createProofVerifier, type ProofDefect, type ProofVerifier } from './dpop.ts';
export { type EndRunDeps, endExpiredRuns, endRun } from './end-run.ts';
export {
  childCeiling,
  type EnvelopeRefusal,
  narrow,
  parseToolPattern,
  type WantedEnvelope,
} from './envelope.ts';
export { INTENT_TYPE } from './intent-details.ts';
export { handleRevocation } from './revocation-endpoint.ts';
export {
  allowsTool,
  type Caller,
  type Chain,
  type DeclaredIntent,
  type Envelope,
  type Evidence,
  type KeyThumbprint,
  type Owner,
  type ProofOfPossession,
  type Run,
  type SpiffeId,
  type ToolPattern,
} from './run.ts';
export type { RunJournal } from './run-journal.ts';
export type { AdmitRefusal, Ending, OpenRefusal, RunState, RunStore } from './run-store.ts';
export { createRunTokenVerifier, type RunTokenVerifier, SCOPE, type TokenDefect } from './run-token.ts';
export { openSigningKeys, type PublishedKey, type SigningKeys } from './signing-keys.ts';
export type { ClaimKind, SingleUse } from './single-use.ts';
export {
  agentSpiffeId,
  parseSpiffeId,
  parseTrustDomain,
  runSpiffeId,
  type SpiffeName,
  type TrustDomain,
} from './spiffe-id.ts';
export { handleTokenRequest } from './token-endpoint.ts';
export {
  refuseToken,
  slowDown,
  type TokenError,
  type TokenRefusal,
  tokenRefusalToWire,
  unavailable,
  type WireTokenRefusal,
} from './token-refusal.ts';
export { CLIENT_ASSERTION_TYPES, type Form, GRANT_TYPES, TOKEN_TYPES } from './token-request.ts';
