import { type AgentName, type Brand, parseAgentName, parseRunId, type RunId } from '../base/index.ts';
import type { SpiffeId } from './run.ts';

/** The name under which all identities of one gateway stand (SPIFFE-ID §2.1). */
export type TrustDomain = Brand<string, 'TrustDomain'>;

/** What a SPIFFE ID of ours names. */
export type SpiffeName =
  | { readonly kind: 'agent'; readonly trustDomain: TrustDomain; readonly agent: AgentName }
  | {
      readonly kind: 'run';
      readonly trustDomain: TrustDomain;
      readonly agent: AgentName;
      readonly run: RunId;
    };

const TRUST_DOMAIN = /^[a-z0-9._-]{1,255}$/;
const SCHEME = 'spiffe://';
const RUN_PART_LENGTH = '/run/'.length + 26;

/** Lower-case letters, digits, `.`, `-`, `_`; at most 255 characters. */
export function parseTrustDomain(value: unknown): TrustDomain | undefined {
  return typeof value === 'string' && TRUST_DOMAIN.test(value) ? (value as TrustDomain) : undefined;
}

/** `spiffe://<trust domain>/agent/<agent>`: the `client_id` of every run of the agent. */
export function agentSpiffeId(trustDomain: TrustDomain, agent: AgentName): SpiffeId {
  return `${SCHEME}${trustDomain}/agent/${agent}` as SpiffeId;
}

/** `spiffe://<trust domain>/agent/<agent>/run/<ulid>`: the subject of every token of the run. */
export function runSpiffeId(trustDomain: TrustDomain, agent: AgentName, run: RunId): SpiffeId {
  return `${SCHEME}${trustDomain}/agent/${agent}/run/${run}` as SpiffeId;
}

/** The agent that a run belongs to. */
export function agentOfRun(run: SpiffeId): SpiffeId {
  return run.slice(0, -RUN_PART_LENGTH) as SpiffeId;
}

/** Reads an id of the two forms above, byte for byte; anything else in the SPIFFE name space is undefined. */
export function parseSpiffeId(value: unknown): SpiffeName | undefined {
  if (typeof value !== 'string' || value.length > 2048 || !value.startsWith(SCHEME)) return undefined;
  const [authority, agentWord, name, runWord, ulid, ...rest] = value.slice(SCHEME.length).split('/');
  const trustDomain = parseTrustDomain(authority);
  const agent = parseAgentName(name);
  if (trustDomain === undefined || agentWord !== 'agent' || agent === undefined || rest.length > 0) {
    return undefined;
  }
  if (runWord === undefined) return { kind: 'agent', trustDomain, agent };
  const run = parseRunId(ulid);
  return runWord === 'run' && run !== undefined ? { kind: 'run', trustDomain, agent, run } : undefined;
}

/** A SPIFFE ID of any trust domain: another system's name for a workload. */
export type WorkloadId = { readonly trustDomain: TrustDomain; readonly id: string };

const WORKLOAD_PATH = /^(?:\/(?!\.{1,2}(?:\/|$))[A-Za-z0-9._-]+)+$/;

/** Reads a workload's SPIFFE ID byte for byte (SPIFFE-ID §2): a path is needed, an odd one is undefined. */
export function parseWorkloadId(value: unknown): WorkloadId | undefined {
  if (typeof value !== 'string' || value.length > 2048 || !value.startsWith(SCHEME)) return undefined;
  const rest = value.slice(SCHEME.length);
  const slash = rest.indexOf('/');
  const trustDomain = parseTrustDomain(slash < 0 ? rest : rest.slice(0, slash));
  if (trustDomain === undefined || slash < 0 || !WORKLOAD_PATH.test(rest.slice(slash))) return undefined;
  return { trustDomain, id: value };
}
