import { canonicalJson, type JsonObject, type JsonValue, sha256 } from '../../base/index.ts';
import type { Ask, Decision, Explanation } from '../../cedar/index.ts';
import type { Caller, CredentialEntry } from '../../identity/index.ts';
import type { Actor, NewDecision, Spoken, SpokenAsk } from '../../intent-log/index.ts';

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

/** A decision as it is given to the log, which commits to what an `ask` is about. */
export function toDecisionEntry(decision: Decision): NewDecision {
  const { effect, policies, revision } = decision;
  if (decision.effect === 'permit') return { effect, policies, revision };
  const { code, reason, detail } = decision;
  const asked =
    decision.effect === 'ask' ? { obligations: ['require_approval'], asks: toAsks(decision) } : {};
  return { effect, policies, revision, code, reason, ...(detail === undefined ? {} : { detail }), ...asked };
}

function toAsks({ callHash, values }: Ask): SpokenAsk {
  return {
    callHash,
    values: values.map(({ path, kind, value, provenance, sources }) => ({
      path,
      kind,
      text: canonicalJson(value),
      provenance,
      calls: [...new Set(sources.map(({ call }) => call))],
    })),
  };
}

const MAX_ARGUMENTS = 32;
const MAX_FIELD_LENGTH = 128;

/** Where arguments come from, by path: levels, calls and fields; never a value. */
export function toProvenanceEntry({ arguments: all }: Explanation): JsonObject {
  return Object.fromEntries(
    all.slice(0, MAX_ARGUMENTS).map(({ path, kind, level, sources, labels }) => [
      path,
      {
        kind,
        level,
        ...(sources.length === 0
          ? {}
          : {
              sources: sources.map(({ call, field }) => ({ call, field: field.slice(0, MAX_FIELD_LENGTH) })),
            }),
        ...(labels.length === 0 ? {} : { labels }),
      },
    ]),
  );
}

/** What of a credential may be written down: all but its secret. */
export function toEntry({ id, kind, expiresAt }: CredentialEntry): CredentialEntry {
  return { id, kind, expiresAt };
}

/** A value for the log to commit to. */
export function toSpoken(value: JsonValue): Spoken {
  return { text: canonicalJson(value) };
}

/** What a message asks for: its RFC 8785 form for the log to commit to, and the SHA-256 that credentials carry. */
export type AskedFor = Spoken & { readonly digest: string };

export function toAskedFor(value: JsonValue): AskedFor {
  const text = canonicalJson(value);
  return { text, digest: sha256(text) };
}
