import { err, isJsonObject, type JsonObject, type JsonValue, ok, type Result } from '../base/index.ts';
import type { VerifyRefusalReason } from './refusal.ts';

/** What a call token says, once it was found good. */
export type VerifiedCall = {
  /** The call in the gateway's log: `jti` of the token. */
  readonly callId: string;
  /** SPIFFE ID of the run that calls. */
  readonly run: string;
  /** SPIFFE ID of its agent. */
  readonly agent: string;
  /** SPIFFE IDs from the run up to the run that started it all. */
  readonly chain: readonly string[];
  /** Id of the root run, the same for the whole delegation tree. */
  readonly root: string;
  readonly method: string;
  readonly tool?: string;
  /** Ids of the policies that permitted the call, and the policy revision. */
  readonly decision: { readonly policies: readonly string[]; readonly revision: string };
  /** Leaf hash of the gateway's durable intent. */
  readonly intent: string;
  /** Seconds since the epoch. */
  readonly expiresAt: number;
};

/** Claims of the right form, with the digest that the arguments must have. */
export type CallClaims = { readonly call: VerifiedCall; readonly argsDigest: string };

/** How far the clock of the gateway may be from ours, in seconds. */
export const SKEW_SECONDS = 5;

const MAX_LIFE_SECONDS = 60;
const MAX_CHAIN = 16;

/** Reads the claims of a call token. Pure: neither the signature nor the call itself is looked at. */
export function readCallClaims(
  claims: JsonObject,
  expected: { readonly issuer: string; readonly audience: string; readonly nowSeconds: number },
): Result<CallClaims, VerifyRefusalReason> {
  if (claims['iss'] !== expected.issuer) return err('wrong_issuer');
  if (claims['aud'] !== expected.audience) return err('wrong_audience'); // also an array that contains it
  const { iat, exp, jti, sub, client_id: agent, txn: root } = claims;
  if (typeof iat !== 'number' || typeof exp !== 'number') return err('invalid_claims');
  if (exp - iat > MAX_LIFE_SECONDS) return err('lives_too_long');
  if (iat > expected.nowSeconds + SKEW_SECONDS) return err('not_yet_valid');
  if (exp <= expected.nowSeconds - SKEW_SECONDS) return err('expired');
  const detail = readDetail(claims['authorization_details'], expected.audience);
  const chain = isText(sub) ? readChain(claims['act'], sub) : undefined;
  if (!isText(jti) || !isText(sub) || !isText(agent) || !isText(root)) return err('invalid_claims');
  if (detail === undefined || chain === undefined) return err('invalid_claims');
  const { argsDigest, ...rest } = detail;
  return ok({ call: { callId: jti, run: sub, agent, chain, root, expiresAt: exp, ...rest }, argsDigest });
}

type Detail = Pick<VerifiedCall, 'method' | 'tool' | 'decision' | 'intent'> & { readonly argsDigest: string };

function readDetail(details: JsonValue | undefined, audience: string): Detail | undefined {
  const [detail, ...others] = Array.isArray(details) ? (details as readonly JsonValue[]) : [];
  if (!isJsonObject(detail) || others.length > 0 || detail['type'] !== 'mcp_tool_call') return undefined;
  const { locations, method, tool, args_digest: digest, policy, revision, intent } = detail;
  const isHere = Array.isArray(locations) && locations.length === 1 && locations[0] === audience;
  const isKnownDigest = isJsonObject(digest) && digest['alg'] === 'sha-256' && digest['canon'] === 'jcs';
  const argsDigest = isKnownDigest ? digest['value'] : undefined;
  const policies = Array.isArray(policy) ? policy.filter(isText) : undefined;
  if (!isHere || !isText(argsDigest) || !isText(method)) return undefined;
  if ((tool !== undefined && !isText(tool)) || policies === undefined) return undefined;
  if (!isText(revision) || !isText(intent)) return undefined;
  const decision = { policies, revision };
  return { method, ...(tool === undefined ? {} : { tool }), decision, intent, argsDigest };
}

/** RFC 8693 §4.1: the current actor outermost. Without `act` the run acts for nobody. */
function readChain(act: JsonValue | undefined, run: string): readonly string[] | undefined {
  if (act === undefined) return [run];
  const chain: string[] = [];
  for (let link: JsonValue | undefined = act; link !== undefined; link = link['act']) {
    if (!isJsonObject(link) || !isText(link['sub']) || chain.length >= MAX_CHAIN) return undefined;
    chain.push(link['sub']);
  }
  return chain[0] === run ? chain : undefined;
}

function isText(value: JsonValue | undefined): value is string {
  return typeof value === 'string' && value !== '' && value.length <= 2048;
}
