import { type CallId, type Clock, toEpochSeconds } from '../base/index.ts';
import { actChain } from './act-chain.ts';
import type { Caller } from './run.ts';
import type { SigningKeys } from './signing-keys.ts';
import { agentOfRun } from './spiffe-id.ts';

/** Life of a call token. It is made when the call goes out and good for one call. */
export const CALL_TOKEN_SECONDS = 30;

/** The one call that a token is for. */
export type CallTokenRequest = {
  readonly caller: Caller;
  /** Becomes the `jti`. */
  readonly callId: CallId;
  /** The upstream as a resource: the only audience. */
  readonly audience: string;
  /** The MCP method, or `GET`, `DELETE` and `response` for the legs without one. */
  readonly method: string;
  readonly tool?: string;
  /** SHA-256 of what the message asks for (`askedFor`) in RFC 8785 form. */
  readonly argsDigest: string;
  readonly decision: { readonly policies: readonly string[]; readonly revision: string };
  /** Leaf hash of the durable intent. */
  readonly intentLeaf: string;
};

export type MintDeps = { readonly keys: SigningKeys; readonly issuer: string; readonly now: Clock };

export type CallToken = {
  readonly token: string;
  readonly id: CallId;
  /** Seconds since the epoch. */
  readonly expiresAt: number;
};

/** STEP 7: the credential for one call (RFC 9068 with RFC 9396): this run, this upstream, this message. */
export function mintCallToken(request: CallTokenRequest, { keys, issuer, now }: MintDeps): CallToken {
  const { caller, callId, audience, decision } = request;
  const { chain } = caller;
  const [run] = chain;
  const iat = toEpochSeconds(now());
  const expiresAt = iat + CALL_TOKEN_SECONDS;
  const act = actChain(chain);
  const token = keys.sign('at+jwt', {
    iss: issuer,
    sub: run.spiffeId,
    client_id: agentOfRun(run.spiffeId),
    aud: audience,
    iat,
    exp: expiresAt,
    jti: callId,
    txn: run.root,
    ...(act === undefined ? {} : { act }),
    authorization_details: [
      {
        type: 'mcp_tool_call',
        locations: [audience],
        method: request.method,
        ...(request.tool === undefined ? {} : { tool: request.tool }),
        args_digest: { alg: 'sha-256', canon: 'jcs', value: request.argsDigest },
        policy: decision.policies,
        revision: decision.revision,
        decision: callId,
        intent: request.intentLeaf,
      },
    ],
  });
  return { token, id: callId, expiresAt };
}
