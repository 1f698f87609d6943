/** Why a call token is not good for a call. */
export type VerifyRefusalReason =
  | 'missing_token'
  | 'not_bearer'
  | 'malformed'
  | 'wrong_type'
  | 'bad_signature'
  | 'wrong_issuer'
  | 'wrong_audience'
  | 'invalid_claims'
  | 'lives_too_long'
  | 'not_yet_valid'
  | 'expired'
  | 'other_method'
  | 'other_tool'
  | 'other_arguments'
  | 'replayed'
  | 'replay_cache_full'
  | 'ledger_unavailable'
  | 'keys_unavailable';

/** A refused call. The message says what is wrong and holds nothing of the token. */
export type VerifyRefusal = { readonly reason: VerifyRefusalReason; readonly message: string };

/** How a refusal is answered over HTTP (RFC 6750 §3). */
export type VerifyAnswer = {
  readonly status: 401 | 503;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: { readonly error: string; readonly error_description: string; readonly reason: string };
};

export function refusalOf(reason: VerifyRefusalReason): VerifyRefusal {
  return { reason, message: messageOf(reason) };
}

const OUR_FAULTS: ReadonlySet<VerifyRefusalReason> = new Set([
  'keys_unavailable',
  'replay_cache_full',
  'ledger_unavailable',
]);

/** 401, or 503 when it is the verifier that cannot tell. */
export function refusalToHttp({ reason, message }: VerifyRefusal): VerifyAnswer {
  const isOurFault = OUR_FAULTS.has(reason);
  const error = isOurFault ? 'temporarily_unavailable' : 'invalid_token';
  const challenge =
    reason === 'missing_token' ? 'Bearer' : `Bearer error="invalid_token", error_description="${message}"`;
  return {
    status: isOurFault ? 503 : 401,
    headers: isOurFault ? { 'retry-after': '5' } : { 'www-authenticate': challenge },
    body: { error, error_description: message, reason },
  };
}

function messageOf(reason: VerifyRefusalReason): string {
  switch (reason) {
    case 'missing_token':
      return 'this server takes calls through its gateway only; the Authorization header is missing';
    case 'not_bearer':
      return 'the Authorization header must be Bearer with a call token';
    case 'malformed':
      return 'the call token is not a signed JWT of at most 8 KiB';
    case 'wrong_type':
      return 'the call token must have typ at+jwt, alg ES256 and a kid';
    case 'bad_signature':
      return 'the call token is not signed by a key of the gateway';
    case 'wrong_issuer':
      return 'the call token is of another issuer';
    case 'wrong_audience':
      return 'the call token is for another server';
    case 'invalid_claims':
      return 'the call token lacks a claim or has one of the wrong type';
    case 'lives_too_long':
      return 'the call token lives longer than a call token may';
    case 'not_yet_valid':
      return 'the call token is not valid yet; check the clock';
    case 'expired':
      return 'the call token has expired; check the clock';
    case 'other_method':
      return 'the call token is for another method';
    case 'other_tool':
      return 'the call token is for another tool';
    case 'other_arguments':
      return 'the call token is for other arguments, or another answer';
    case 'replayed':
      return 'the call token was used before; it is good for one call';
    case 'replay_cache_full':
      return 'too many calls to remember; try again later';
    case 'ledger_unavailable':
      return 'accepted calls cannot be written down; try again later';
    case 'keys_unavailable':
      return 'the keys of the gateway cannot be fetched; try again later';
  }
}
