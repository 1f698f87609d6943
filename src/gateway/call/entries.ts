import { canonicalJson, type JsonValue, sha256 } from '../../base/index.ts';
import type { Decision } from '../../cedar/index.ts';
import type { Caller, CredentialEntry } from '../../identity/index.ts';
import type { Actor, Commitment, DecisionEntry } from '../../intent-log/index.ts';

/** Who asks, as every record about a request says it. */
export function toActor(caller: Caller): Actor {
  const [run] = caller.chain;
  return {
    run: run.id,
    agent: run.agent,
    owner: run.owner.name,
    chain: caller.chain.map((link) => link.spiffeId),
    purpose: run.intent.purpose,
  };
}

/** A decision as the log keeps it. */
export function toDecisionEntry(decision: Decision): DecisionEntry {
  const { effect, policies, revision } = decision;
  if (decision.effect === 'permit') return { effect, policies, revision };
  const { code, reason, detail } = decision;
  return { effect, policies, revision, code, reason, ...(detail === undefined ? {} : { detail }) };
}

/** What of a credential may be written down: all but its secret. */
export function toEntry({ id, kind, expiresAt }: CredentialEntry): CredentialEntry {
  return { id, kind, expiresAt };
}

/** Commits to a value without keeping it: SHA-256 and length of its RFC 8785 form. */
export function commitTo(value: JsonValue): Commitment {
  const canonical = canonicalJson(value);
  return { digest: sha256(canonical), bytes: Buffer.byteLength(canonical) };
}
