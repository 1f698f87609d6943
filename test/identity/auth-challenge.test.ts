import { describe, expect, it } from 'vitest';
import { type AuthFailure, authFailureToChallenge, tokenRefusalToWire } from '../../src/identity/index.ts';

const resourceMetadataUrl = 'https://gateway.example.org/.well-known/oauth-protected-resource/mcp/desk';
const challenge = (failure: AuthFailure) => authFailureToChallenge(failure, { resourceMetadataUrl });

const PROOF_DEFECTS = [
  'missing',
  'repeated',
  'too_large',
  'malformed',
  'typ',
  'alg',
  'jwk',
  'crit',
  'jti',
  'htm',
  'htu',
  'iat',
  'exp',
  'ath',
  'signature',
] as const;
const TOKEN_DEFECTS = [
  'too_large',
  'malformed',
  'wrong_type',
  'unknown_key',
  'bad_signature',
  'wrong_issuer',
  'wrong_audience',
  'invalid_claims',
  'not_yet_valid',
  'expired',
] as const;
const ADMIT_REFUSALS = ['unknown_run', 'run_over', 'run_expired', 'ancestor_over', 'proof_replayed'] as const;
const FAILURES: readonly AuthFailure[] = [
  { reason: 'token_missing' },
  { reason: 'scheme_unknown' },
  { reason: 'bearer_refused' },
  { reason: 'key_mismatch' },
  ...PROOF_DEFECTS.map((defect) => ({ reason: 'proof_invalid', defect }) as const),
  ...TOKEN_DEFECTS.map((defect) => ({ reason: 'token_invalid', defect }) as const),
  ...ADMIT_REFUSALS.map((refusal) => ({ reason: 'run_refused', refusal }) as const),
];

describe('the answer to a failed authentication', () => {
  it.each(FAILURES)('is a DPoP challenge that a client can follow: %o', (failure) => {
    const { status, headers, message } = challenge(failure);
    expect(status).toBe(401);
    expect(headers['www-authenticate']).toMatch(
      /^DPoP (?:error="[a-z_]+", error_description="[\x20\x21\x23-\x5b\x5d-\x7e]+", )?algs="ES256", scope="mcp", resource_metadata="https:[^"]+"$/,
    );
    expect(message).toMatch(/^[a-z]/);
    expect(message).not.toMatch(/\.$/);
  });

  it('names no error when nothing was sent (RFC 6750 §3.1)', () => {
    expect(challenge({ reason: 'token_missing' }).headers['www-authenticate']).not.toContain('error=');
  });

  it('tells proof and token apart', () => {
    const header = (failure: AuthFailure) => challenge(failure).headers['www-authenticate'];
    expect(header({ reason: 'proof_invalid', defect: 'htu' })).toContain('error="invalid_dpop_proof"');
    expect(header({ reason: 'run_refused', refusal: 'proof_replayed' })).toContain(
      'error="invalid_dpop_proof"',
    );
    expect(header({ reason: 'token_invalid', defect: 'expired' })).toContain('error="invalid_token"');
    expect(header({ reason: 'run_refused', refusal: 'run_over' })).toContain('error="invalid_token"');
  });

  it('is 403 and no challenge when an operator has stopped the agent: attesting again does not help', () => {
    const answer = challenge({ reason: 'run_refused', refusal: 'stopped' });
    expect(answer).toMatchObject({ status: 403, headers: {} });
  });

  it('A16: is 503 and no challenge when the store does not answer, for a 401 would send all clients to log in', () => {
    const answer = challenge({ reason: 'store_unavailable', cause: new Error('redis://user:secret@host') });
    expect(answer).toMatchObject({ status: 503, headers: { 'retry-after': '5' } });
    expect(JSON.stringify(answer)).not.toContain('secret');
  });
});

describe('the answer to a refused token request', () => {
  it('keeps to the characters of RFC 6749', () => {
    const wire = tokenRefusalToWire({ error: 'invalid_request', description: 'say "x"\\ or \u00e4\n' });
    expect(wire).toMatchObject({ status: 400, body: { error_description: "say 'x'' or ''" } });
  });

  it('is 503 with Retry-After when it is our fault', () => {
    expect(tokenRefusalToWire({ error: 'temporarily_unavailable', description: 'x' })).toMatchObject({
      status: 503,
      headers: { 'retry-after': '5' },
    });
  });
});
