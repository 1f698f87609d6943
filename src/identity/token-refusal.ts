import { err, type JsonObject, type Result } from '../base/index.ts';
import type { DeclarationRefusal } from './declaration.ts';
import type { EnvelopeRefusal } from './envelope.ts';

/** Error codes of the token and revocation endpoints: RFC 6749 §5.2, RFC 8628 §3.5, RFC 8707 §2, RFC 9396 §5, RFC 9449 §5. */
export type TokenError =
  | 'invalid_request'
  | 'invalid_client'
  | 'invalid_grant'
  | 'invalid_scope'
  | 'invalid_target'
  | 'invalid_dpop_proof'
  | 'invalid_authorization_details'
  | 'unauthorized_client'
  | 'unsupported_grant_type'
  | 'slow_down'
  | 'temporarily_unavailable';

/** Why a token request was refused. The description says what to do and is fit for the caller. */
export type TokenRefusal = {
  readonly error: TokenError;
  readonly description: string;
  /** With `slow_down`: when to come again. */
  readonly retryAfterSeconds?: number;
  /** For the log only. */
  readonly cause?: unknown;
};

/** How a refusal is answered (RFC 6749 §5.2). */
export type WireTokenRefusal = {
  readonly status: 400 | 429 | 503;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: JsonObject;
};

export function refuseToken(error: TokenError, description: string): Result<never, TokenRefusal> {
  return err({ error, description });
}

/** Refuses an envelope that goes beyond its ceiling, and says which part and by what. */
export function refuseEnvelope(refusal: EnvelopeRefusal): Result<never, TokenRefusal> {
  return refuseToken('invalid_authorization_details', envelopeMessage(refusal));
}

/** Refuses a declaration that goes beyond its ceiling, and says which part. */
export function refuseDeclaration({ part, value }: DeclarationRefusal): Result<never, TokenRefusal> {
  const message =
    value === undefined
      ? `${part} cannot be taken back; this run is held to what it declares`
      : `${part}: "${value}" is beyond what this run may declare`;
  return refuseToken('invalid_authorization_details', message);
}

function envelopeMessage(refusal: EnvelopeRefusal): string {
  switch (refusal.part) {
    case 'tools':
      return `tools: "${refusal.tool}" is not among the tools that this run may be given`;
    case 'max_calls':
      return `max_calls must be at most ${refusal.ceiling}`;
    case 'max_depth':
      return refusal.ceiling < 1
        ? 'this run may not delegate; its max_depth is 0'
        : `max_depth must be at most ${refusal.ceiling}`;
    case 'expires_in':
      return 'expires_in is longer than this run may last';
  }
}

/** The answer to a refusal: 503 when it is our side that failed, 429 for too many, 400 for everything else. */
export function tokenRefusalToWire(refusal: TokenRefusal): WireTokenRefusal {
  const { error, description, retryAfterSeconds = 5 } = refusal;
  const status = error === 'temporarily_unavailable' ? 503 : error === 'slow_down' ? 429 : 400;
  return {
    status,
    headers: status === 400 ? {} : { 'retry-after': String(retryAfterSeconds) },
    // RFC 6749 §5.2 leaves out double quotes and backslashes
    body: { error, error_description: description.replace(/[^\x20\x21\x23-\x5b\x5d-\x7e]/g, "'") },
  };
}

/** A refusal because too many came: the caller may try the same again after that time. */
export function slowDown(retryAfterSeconds: number): Result<never, TokenRefusal> {
  const description = `too many token requests; wait ${retryAfterSeconds} s, and renew at half of a token's life`;
  return err({ error: 'slow_down', description, retryAfterSeconds });
}

/** Said of an agent that is not registered, or is disabled: which of the two is for its owner to know. */
export const AGENT_GONE = 'the agent is not registered or is disabled; ask its owner';

/** A refusal because our own side failed: the caller may try the same again. */
export function unavailable(cause: unknown): Result<never, TokenRefusal> {
  const description = 'the gateway cannot do this now; try again later';
  return err({ error: 'temporarily_unavailable', description, cause });
}
