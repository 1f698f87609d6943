import type { KeyObject } from 'node:crypto';
import { type Clock, err, type JsonObject, ok, type Result, sha256 } from '../base/index.ts';
import { type CompactJws, isSignedBy, MAX_JWS_LENGTH, parseSegment, splitJws } from './compact-jws.ts';
import { type EcPublicJwk, importEcPublicKey, parseEcPublicJwk, thumbprintOf } from './public-key.ts';
import type { KeyThumbprint } from './run.ts';
import { normalizeTargetUri } from './target-uri.ts';

/** What is wrong with a `DPoP` header (RFC 9449 §4.3). `jwk` also stands for a key with its private half. */
export type ProofDefect =
  | 'missing'
  | 'repeated'
  | 'too_large'
  | 'malformed'
  | 'typ'
  | 'alg'
  | 'jwk'
  | 'crit'
  | 'jti'
  | 'htm'
  | 'htu'
  | 'iat'
  | 'exp'
  | 'ath'
  | 'signature';

/** What a proof must speak for. `url` is the configured external URL, never taken from a request header. */
export type ProofTarget = {
  readonly method: string;
  readonly url: string;
  /** The access token that comes with the proof. */
  readonly token?: string;
};

/** A proof whose claims are right. It proves nothing before its signature is checked. */
export type Proof = {
  readonly thumbprint: KeyThumbprint;
  /** SHA-256 of thumbprint and `jti`, so that nobody can use up the ids of another key. */
  readonly proofId: string;
  /** Seconds since the epoch; from then on the proof is refused for its age. */
  readonly expiresAt: number;
  readonly ath?: string;
  readonly jws: CompactJws;
  readonly jwk: EcPublicJwk;
};

/** Checks DPoP proofs, and remembers the keys of callers that were found to be genuine. */
export interface ProofVerifier {
  /** Every check that costs no signature. */
  inspect(header: string | readonly string[] | undefined, target: ProofTarget): Result<Proof, ProofDefect>;
  /** `known`: the key is that of a good token, so it is worth remembering. */
  hasValidSignature(proof: Proof, caller: 'known' | 'unknown'): boolean;
}

/** How far a proof's `iat` may be from our clock, both ways, in seconds. */
export const PROOF_WINDOW_SECONDS = 60;
/** From a proof's `iat`, rounded up, to the second in which it need no longer be remembered. */
export const PROOF_LIFE_SECONDS = PROOF_WINDOW_SECONDS + 1;

const REMEMBERED_KEYS = 4096;
const MAX_JTI_LENGTH = 128;

type ProofKey = { readonly jwk: EcPublicJwk; readonly thumbprint: KeyThumbprint; readonly key?: KeyObject };

export function createProofVerifier(now: Clock): ProofVerifier {
  // By the exact header: clients send the same one each time, and it decides typ, alg and key.
  const known = new Map<string, ProofKey>();

  return {
    inspect(header, target) {
      if (header === undefined) return err('missing');
      const text = typeof header === 'string' ? header : header[0];
      if (text === undefined || (typeof header !== 'string' && header.length > 1)) return err('repeated');
      if (text.length > MAX_JWS_LENGTH) return err('too_large');
      const jws = splitJws(text);
      if (jws === undefined) return err(text.includes(',') ? 'repeated' : 'malformed');
      const key = known.get(jws.header);
      const parsed = key === undefined ? parseProofHeader(jws.header) : ok(key);
      return parsed.ok ? checkClaims(jws, parsed.value, target, now() / 1000) : parsed;
    },

    hasValidSignature({ jws, jwk, thumbprint }, caller) {
      const key = known.get(jws.header)?.key ?? importEcPublicKey(jwk);
      if (key === undefined || !isSignedBy(jws, key)) return false;
      if (caller === 'known') {
        known.delete(jws.header); // to the end: the first one is the one that was not seen for longest
        known.set(jws.header, { jwk, thumbprint, key });
        if (known.size > REMEMBERED_KEYS) known.delete(known.keys().next().value ?? '');
      }
      return true;
    },
  };
}

function parseProofHeader(segment: string): Result<ProofKey, ProofDefect> {
  const header = parseSegment(segment);
  if (header === undefined) return err('malformed');
  if (header['typ'] !== 'dpop+jwt') return err('typ');
  if (header['alg'] !== 'ES256') return err('alg');
  if ('crit' in header || 'b64' in header) return err('crit');
  const jwk = parseEcPublicJwk(header['jwk']);
  return jwk === undefined ? err('jwk') : ok({ jwk, thumbprint: thumbprintOf(jwk) });
}

function checkClaims(
  jws: CompactJws,
  { jwk, thumbprint }: ProofKey,
  target: ProofTarget,
  nowSeconds: number,
): Result<Proof, ProofDefect> {
  const claims = parseSegment(jws.payload);
  if (claims === undefined) return err('malformed');
  const { jti, htm, htu, iat, ath } = claims;
  if (typeof jti !== 'string' || jti.length < 1 || jti.length > MAX_JTI_LENGTH) return err('jti');
  if (htm !== target.method) return err('htm');
  if (typeof htu !== 'string' || !isSameTarget(htu, target.url)) return err('htu');
  if (typeof iat !== 'number' || Math.abs(nowSeconds - iat) > PROOF_WINDOW_SECONDS) return err('iat');
  if (!isInForce(claims, nowSeconds)) return err('exp');
  if (target.token !== undefined && ath !== sha256(target.token)) return err('ath');
  return ok({
    thumbprint,
    proofId: sha256(`${thumbprint}.${jti}`),
    expiresAt: Math.ceil(iat) + PROOF_LIFE_SECONDS,
    ...(typeof ath === 'string' ? { ath } : {}),
    jws,
    jwk,
  });
}

function isSameTarget(htu: string, url: string): boolean {
  if (htu === url) return true;
  const normalized = normalizeTargetUri(htu);
  return normalized !== undefined && normalized === normalizeTargetUri(url);
}

/** A proof needs no `exp` or `nbf`, but where it has them they count. */
function isInForce({ exp, nbf }: JsonObject, nowSeconds: number): boolean {
  if (exp !== undefined && (typeof exp !== 'number' || exp <= nowSeconds)) return false;
  return nbf === undefined || (typeof nbf === 'number' && nbf <= nowSeconds);
}
