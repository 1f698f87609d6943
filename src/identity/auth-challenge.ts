import type { AuthFailure } from './authenticate.ts';
import { PROOF_WINDOW_SECONDS, type ProofDefect } from './dpop.ts';
import type { AdmitRefusal } from './run-store.ts';
import type { TokenDefect } from './run-token.ts';

/** How a failed authentication is answered. The message says what to do and holds nothing that was sent. */
export type AuthChallenge = {
  readonly status: 401 | 403 | 503;
  readonly headers: Readonly<Record<string, string>>;
  readonly message: string;
};

type OAuthError = 'invalid_token' | 'invalid_dpop_proof';

/**
 * RFC 9449 §7.1 and RFC 9728 §5.1. A store that does not answer is a 503: nobody's identity is in doubt. A kill switch
 * is a 403: attesting again does not help.
 */
export function authFailureToChallenge(
  failure: AuthFailure,
  { resourceMetadataUrl }: { readonly resourceMetadataUrl: string },
): AuthChallenge {
  const challenge = (message: string, error?: OAuthError): AuthChallenge => {
    const said = error === undefined ? '' : `error="${error}", error_description="${message}", `;
    const value = `DPoP ${said}algs="ES256", scope="mcp", resource_metadata="${resourceMetadataUrl}"`;
    return { status: 401, headers: { 'www-authenticate': value }, message };
  };
  switch (failure.reason) {
    case 'token_missing':
      return challenge(
        'send a run token as Authorization: DPoP <token> with a DPoP proof; resource_metadata says where to get one',
      );
    case 'scheme_unknown':
      return challenge('use the DPoP authorization scheme with a run token of this gateway');
    case 'bearer_refused':
      return challenge(
        'run tokens are bound to a key; send Authorization: DPoP with a proof, not Bearer',
        'invalid_token',
      );
    case 'proof_invalid':
      return challenge(proofMessage(failure.defect), 'invalid_dpop_proof');
    case 'token_invalid':
      return challenge(tokenMessage(failure.defect), 'invalid_token');
    case 'key_mismatch':
      return challenge(
        'the proof must be signed by the key that the token is bound to',
        'invalid_dpop_proof',
      );
    case 'run_refused':
      if (failure.refusal === 'stopped') {
        return { status: 403, headers: {}, message: refusalMessage(failure.refusal) };
      }
      return challenge(
        refusalMessage(failure.refusal),
        failure.refusal === 'proof_replayed' ? 'invalid_dpop_proof' : 'invalid_token',
      );
    case 'store_unavailable':
      return {
        status: 503,
        headers: { 'retry-after': '5' },
        message: 'the state of the run cannot be read now; try again later',
      };
  }
}

/** One sentence about a proof that was refused, fit for its sender. */
export function proofMessage(defect: ProofDefect): string {
  switch (defect) {
    case 'missing':
      return 'the DPoP header is missing; sign a proof for every request';
    case 'repeated':
      return 'send exactly one DPoP header with one proof';
    case 'too_large':
      return 'the proof is larger than 8 KiB';
    case 'malformed':
      return 'the proof is not a compact JWS with JSON header and claims';
    case 'typ':
      return 'the typ of the proof must be dpop+jwt';
    case 'alg':
      return 'the alg of the proof must be ES256';
    case 'jwk':
      return 'the jwk of the proof must be a public P-256 key without private members';
    case 'crit':
      return 'the proof must not use crit or b64';
    case 'jti':
      return 'the jti of the proof must be a string of 1 to 128 characters';
    case 'htm':
      return 'the htm of the proof must be the method of the request';
    case 'htu':
      return 'the htu of the proof must be the public URL of the request, without query';
    case 'iat':
      return `the iat of the proof must be within ${PROOF_WINDOW_SECONDS} seconds of now; check the clock`;
    case 'exp':
      return 'the proof is outside its own exp and nbf';
    case 'ath':
      return 'the ath of the proof must be the SHA-256 of the token in base64url';
    case 'signature':
      return 'the signature of the proof is not by the key in its jwk';
  }
}

/** One sentence about a run token that was refused, fit for its sender. */
export function tokenMessage(defect: TokenDefect): string {
  switch (defect) {
    case 'too_large':
      return 'the token is larger than 8 KiB';
    case 'malformed':
    case 'wrong_type':
      return 'the token is not a run token of this gateway';
    case 'unknown_key':
    case 'bad_signature':
    case 'wrong_issuer':
    case 'invalid_claims':
      return 'the token was not issued by this gateway; get one from its token endpoint';
    case 'wrong_audience':
      return 'the token is for another resource; ask for this one with the resource parameter';
    case 'not_yet_valid':
      return 'the token is not valid yet; check the clock';
    case 'expired':
      return 'the token has expired; attest again with the same key to renew it';
  }
}

function refusalMessage(refusal: Exclude<AdmitRefusal, 'key_mismatch'>): string {
  switch (refusal) {
    case 'unknown_run':
    case 'run_over':
      return 'the run is over; start a new run with a new key';
    case 'run_expired':
      return 'the time of the run is up; start a new run with a new key';
    case 'ancestor_over':
      return 'the run that delegated to this one is over, and so is this one';
    case 'stopped':
      return 'an operator has stopped this agent; ask its owner';
    case 'proof_replayed':
      return 'the proof was used before; sign a new one with a new jti for every request';
  }
}
