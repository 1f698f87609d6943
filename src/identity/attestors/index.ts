export type { AttestationRefusal, Attested, Attestor } from './attestor.ts';
export { claimRuleProblems } from './claim-rules.ts';
export type { Fetch } from './fetch-bounded.ts';
export { createJoinTokens, type JoinTokens } from './join-token.ts';
export { createJwtAttestor, type JwtAttestorDeps, type JwtAttestorEntry } from './jwt.ts';
