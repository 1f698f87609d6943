import type { JsonValue } from '../base/index.ts';
import type { ProvenanceLevel, Source } from './provenance/index.ts';

/** Names the policy set, schema and catalogue that a decision was made under. */
export type PolicyRevision = string;

/**
 * Why a call was not permitted. Stable codes for the agent and the log:
 * - `forbidden_by_policy`: a `forbid` matched; its `@reason` is the text.
 * - `not_permitted`: no `permit` matched. Also what an unknown tool gets: the two look the same to the agent.
 * - `approval_required`: a forbid that an approval of exactly this call would lift.
 * - `outside_envelope`: not in the tools or limits the run was issued with.
 * - `not_reviewed`: the tool is new or its definition differs from the pinned one.
 * - `stopped`: an operator's kill switch covers the upstream.
 * - `log_degraded`: the intent log is in danger, and the call is not known to only read.
 * - `unknown_method`: an MCP method that neither the gateway nor the policy knows.
 * - `pdp_failed`: the engine erred, so nobody knows. Never permit.
 */
export type DenyCode =
  | 'forbidden_by_policy'
  | 'not_permitted'
  | 'approval_required'
  | 'outside_envelope'
  | 'not_reviewed'
  | 'stopped'
  | 'log_degraded'
  | 'unknown_method'
  | 'pdp_failed';

export type Permit = {
  readonly effect: 'permit';
  /** Ids (`@id`) of the determining policies, sorted. */
  readonly policies: readonly string[];
  readonly revision: PolicyRevision;
};

/** A value that decides who, what or where, and where it was seen before. */
export type AskedValue = {
  /** Path of the argument. */
  readonly path: string;
  readonly kind: 'address' | 'identifier' | 'content';
  /** In clear: for the approver. Only its digest goes into the log. */
  readonly value: JsonValue;
  readonly provenance: ProvenanceLevel | 'none';
  /** Where it was seen: calls, and fields of their results. */
  readonly sources: readonly Source[];
};

/** Refused, and an approval of exactly this call would change that: every other condition was decided as met. */
export type Ask = {
  readonly effect: 'ask';
  readonly code: 'approval_required';
  readonly policies: readonly string[];
  readonly revision: PolicyRevision;
  readonly reason: string;
  /** For the log only. */
  readonly detail?: string;
  /** What would be approved (`callHashOf`). */
  readonly callHash: string;
  readonly values: readonly AskedValue[];
};

export type Forbid = {
  readonly effect: 'forbid';
  readonly code: DenyCode;
  readonly policies: readonly string[];
  readonly revision: PolicyRevision;
  /** One sentence chosen by the policy's author (`@reason`), fit for the agent to read. */
  readonly reason: string;
  /** For the log only: engine errors, the missing permit. */
  readonly detail?: string;
};

/** The PDP's answer. What is not a permit is a refusal; an `ask` is one that an approval would lift. */
export type Decision = Permit | Forbid | Ask;

/** Everything that is not a permit. */
export type NotPermitted = Forbid | Ask;
