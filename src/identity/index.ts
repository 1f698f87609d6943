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
  createReachableFetch,
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
  type Authenticated,
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
  type MintDeps,
  mintCallToken,
} from './call-token.ts';
export {
  CAPABILITY_WORDS,
  STANDARD_CAPABILITIES,
  type StandardCapability,
  TASK_WORDS,
  TOOL_WORDS,
} from './capability-words.ts';
export { type ContainDeps, contain } from './contain.ts';
export { declarationJson, parseDeclaration } from './declaration.ts';
export { createProofVerifier, PROOF_LIFE_SECONDS, type ProofDefect, type ProofVerifier } from './dpop.ts';
export { type EndRunDeps, endExpiredRuns, endRun } from './end-run.ts';
export {
  childCeiling,
  type EnvelopeRefusal,
  narrow,
  parseToolPattern,
  type WantedEnvelope,
} from './envelope.ts';
export { inferCapabilities } from './infer-capabilities.ts';
export { INTENT_TYPE } from './intent-details.ts';
export { createIntrospection, type Introspection, type Introspector } from './introspection.ts';
export { noticeKeyOf } from './key-notice.ts';
export type { KeyChange, KeyEntry, KeyRefusal } from './key-rotation.ts';
export {
  createKeySealer,
  type KeySealer,
  openSealingKeyFile,
  type SealingKey,
  type SealPurpose,
} from './key-seal.ts';
export {
  isStopping,
  type KillSwitches,
  parseStopKey,
  type RunWatch,
  type Stop,
  type StopTarget,
  stopKey,
  type Watcher,
} from './kill-switch.ts';
export { type KmsCommand, openSealingKeyByCommand } from './kms-command.ts';
export { handleRevocation } from './revocation-endpoint.ts';
export {
  allowsTool,
  type Caller,
  type Chain,
  type DeclaredIntent,
  type Envelope,
  type Evidence,
  type IntentLimits,
  type KeyThumbprint,
  type Owner,
  type ProofOfPossession,
  type Run,
  type SpiffeId,
  type ToolPattern,
} from './run.ts';
export { mintClientAssertion, mintRunAssertion } from './run-assertion.ts';
export type { RunFacts } from './run-facts.ts';
export type { RunJournal } from './run-journal.ts';
export type {
  Admission,
  AdmitRefusal,
  AdmitRequest,
  Ending,
  Entering,
  Entrance,
  OpenRefusal,
  RunState,
  RunStore,
} from './run-store.ts';
export { capabilityOf } from './run-store.ts';
export { createRunTokenVerifier, type RunTokenVerifier, SCOPE, type TokenDefect } from './run-token.ts';
export { createSecret, openSecret, readSecret, type SecretFile } from './secret-file.ts';
export { type NoticeShelf, openSharedKeys, type SharedKeys } from './shared-keys.ts';
export { type KeyRing, openSigningKeys, type PublishedKey, type SigningKeys } from './signing-keys.ts';
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
export {
  type CredentialEntry,
  type CredentialFailure,
  type CredentialJournal,
  type CredentialKind,
  type CredentialRequest,
  type CredentialSource,
  callTokenSource,
  NO_CREDENTIAL,
  type UpstreamCredential,
} from './upstream-credential.ts';
