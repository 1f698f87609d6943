import { isUtf8 } from 'node:buffer';
import {
  compactVerify,
  createLocalJWKSet,
  createRemoteJWKSet,
  decodeProtectedHeader,
  errors,
  type JSONWebKeySet,
  type LocalJWKSet,
  type ProtectedHeaderParameters,
} from 'jose';
import {
  type Clock,
  digestJson,
  err,
  isJsonObject,
  type JsonObject,
  ok,
  parseStrictJson,
  type Result,
  systemClock,
} from '../base/index.ts';
import { readCallClaims, SKEW_SECONDS, type VerifiedCall } from './call-claims.ts';
import type { Ledger } from './ledger.ts';
import { refusalOf, type VerifyRefusal, type VerifyRefusalReason } from './refusal.ts';
import { createReplayCache, type ReplayCache } from './replay-cache.ts';

export type VerifierOptions = {
  /** The gateway's public URL, exactly. */
  readonly issuer: string;
  /** This server as the gateway is configured to call it, exactly. */
  readonly audience: string;
  /** The gateway's keys: where they are published (`<issuer>/.well-known/jwks.json`), or the set itself. */
  readonly jwks: { readonly url: string } | { readonly keys: JSONWebKeySet['keys'] };
  readonly now?: Clock;
  /** Defaults to one for this process. */
  readonly replay?: ReplayCache;
  /** Where each accepted call is written down before it is accepted; nowhere if not given. */
  readonly ledger?: Ledger;
};

/** What is about to be done. Of a GET or DELETE request and of a JSON-RPC response, the `method` says that. */
export type ReceivedCall = {
  readonly method: string;
  readonly tool?: string;
  /** All of the message that acts, as `receivedCall` takes it out: docs/verifier.md says what that is. */
  readonly asked?: JsonObject;
};

/** Decides whether the gateway let exactly this call through. */
export interface Verifier {
  /** Never rejects. Uses up the token when it is good for the call. */
  verify(authorization: string | undefined, call: ReceivedCall): Promise<Result<VerifiedCall, VerifyRefusal>>;
}

const MAX_TOKEN_LENGTH = 8192;

/** Throws a `TypeError` when issuer or audience is empty: an unset variable must not verify anything. */
export function createVerifier(options: VerifierOptions): Verifier {
  const { issuer, audience, now = systemClock } = options;
  if (!issuer || !audience)
    throw new TypeError('issuer and audience must be the URLs of the gateway and this server');
  const keys = keysOf(options.jwks);
  const replay = options.replay ?? createReplayCache({ now });

  async function verify(
    authorization: string | undefined,
    call: ReceivedCall,
  ): Promise<Result<VerifiedCall, VerifyRefusalReason>> {
    const token = readToken(authorization);
    if (!token.ok) return token;
    const payload = await verifySignature(token.value, keys);
    if (!payload.ok) return payload;
    const claims = readCallClaims(payload.value, { issuer, audience, nowSeconds: now() / 1000 });
    if (!claims.ok) return claims;
    const granted = claims.value.call;
    if (granted.method !== call.method) return err('other_method');
    if (granted.tool !== call.tool) return err('other_tool');
    if (claims.value.argsDigest !== digestJson(call.asked ?? {})) return err('other_arguments');
    const isNew = await replay.remember(granted.callId, Math.ceil(granted.expiresAt) + SKEW_SECONDS + 1);
    if (!isNew) return err('replayed');
    return (await wasNoted(granted, options.ledger)) ? ok(granted) : err('ledger_unavailable');
  }

  return {
    async verify(authorization, call) {
      try {
        const verified = await verify(authorization, call);
        return verified.ok ? verified : err(refusalOf(verified.error));
      } catch {
        return err(refusalOf('replay_cache_full'));
      }
    },
  };
}

async function wasNoted(call: VerifiedCall, ledger: Ledger | undefined): Promise<boolean> {
  try {
    await ledger?.add(call);
    return true;
  } catch {
    return false; // the caller is told that much; why, is for whoever runs the server
  }
}

function keysOf(jwks: VerifierOptions['jwks']): LocalJWKSet {
  if ('keys' in jwks) return createLocalJWKSet({ keys: [...jwks.keys] });
  return createRemoteJWKSet(new URL(jwks.url)) as unknown as LocalJWKSet;
}

function readToken(authorization: string | undefined): Result<string, VerifyRefusalReason> {
  if (authorization === undefined || authorization === '') return err('missing_token');
  const token = /^Bearer ([^ ,]+)$/i.exec(authorization)?.[1];
  if (token === undefined) return err('not_bearer');
  return token.length > MAX_TOKEN_LENGTH ? err('malformed') : ok(token);
}

/** The claims of a token with a good signature: typ, alg and key pinned, its JSON read strictly. */
async function verifySignature(
  token: string,
  keys: LocalJWKSet,
): Promise<Result<JsonObject, VerifyRefusalReason>> {
  const header = readHeader(token);
  if (header === undefined) return err('malformed');
  const { typ, alg, kid } = header;
  if (typ !== 'at+jwt' || alg !== 'ES256' || typeof kid !== 'string') return err('wrong_type');
  try {
    const { payload } = await compactVerify(token, keys, { algorithms: ['ES256'] });
    const claims = isUtf8(payload) ? parseStrictJson(Buffer.from(payload).toString('utf8')) : undefined;
    return claims?.ok && isJsonObject(claims.value) ? ok(claims.value) : err('malformed');
  } catch (error) {
    return err(reasonOf(error));
  }
}

function readHeader(token: string): ProtectedHeaderParameters | undefined {
  try {
    return decodeProtectedHeader(token);
  } catch {
    return undefined;
  }
}

/** What is not about the token is about the keys. */
function reasonOf(error: unknown): VerifyRefusalReason {
  const { JWKSMultipleMatchingKeys, JWKSNoMatchingKey, JWSInvalid, JOSENotSupported } = errors;
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'bad_signature';
  if (error instanceof JWKSNoMatchingKey || error instanceof JWKSMultipleMatchingKeys) return 'bad_signature';
  return error instanceof JWSInvalid || error instanceof JOSENotSupported ? 'malformed' : 'keys_unavailable';
}
