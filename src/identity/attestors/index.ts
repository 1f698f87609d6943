export type { AssertionForm, AttestationRefusal, Attested, Attestor } from './attestor.ts';
export { type ClaimRule, claimRuleProblems, ruleProblems } from './claim-rules.ts';
export type { Fetch } from './fetch-bounded.ts';
export { createIssuerTokens } from './issuer-tokens.ts';
export { createJoinTokens, type JoinTokens } from './join-token.ts';
export { createJwtAttestor, type JwtAttestorDeps, type JwtAttestorEntry } from './jwt.ts';
export { claimAt, PRESETS, type PresetName } from './presets.ts';
export {
  createPrivateKeyJwtAttestor,
  type PrivateKeyJwtDeps,
  type PrivateKeyJwtEntry,
} from './private-key-jwt.ts';
export { isReachable, type Reach } from './public-address.ts';
export { createReachableFetch, createSafeFetch, reachOf, urlProblem } from './safe-fetch.ts';
export { createSpiffeJwtAttestor, type SpiffeJwtDeps, type SpiffeJwtEntry } from './spiffe-jwt.ts';
export { type CertificateAttestor, createX509Attestor, type X509AttestorEntry } from './x509.ts';
export { isInTime, parseTrustAnchors, parseX509Svid, type X509Svid } from './x509-svid.ts';
