import { randomFillSync } from 'node:crypto';
import type { Brand } from './brand.ts';
import type { Clock } from './clock.ts';

/** One agent run: a ULID, also the last segment of the run's SPIFFE ID. */
export type RunId = Brand<string, 'RunId'>;
/** One MCP message on its way through the gateway: a ULID, the join key of every record about it. */
export type CallId = Brand<string, 'CallId'>;
/** A registered agent, as a SPIFFE path segment. */
export type AgentName = Brand<string, 'AgentName'>;
/** A configured upstream (an MCP server behind the gateway), as a URL path segment. */
export type UpstreamName = Brand<string, 'UpstreamName'>;

const ULID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;
const SLUG = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

export function parseRunId(value: unknown): RunId | undefined {
  return typeof value === 'string' && ULID.test(value) ? (value as RunId) : undefined;
}

export function parseCallId(value: unknown): CallId | undefined {
  return typeof value === 'string' && ULID.test(value) ? (value as CallId) : undefined;
}

/** Lower-case letters, digits and inner hyphens, at most 63 characters. */
export function parseAgentName(value: unknown): AgentName | undefined {
  return typeof value === 'string' && SLUG.test(value) ? (value as AgentName) : undefined;
}

/** Lower-case letters, digits and inner hyphens, at most 63 characters. */
export function parseUpstreamName(value: unknown): UpstreamName | undefined {
  return typeof value === 'string' && SLUG.test(value) ? (value as UpstreamName) : undefined;
}

/** Makes ids in time order: 48 bits of milliseconds, 80 random bits (https://github.com/ulid/spec). */
export type IdSource = { readonly runId: () => RunId; readonly callId: () => CallId };

export function createIdSource(now: Clock): IdSource {
  return { runId: () => ulid(now()) as RunId, callId: () => ulid(now()) as CallId };
}

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const pool = new Uint8Array(4096);
let used = pool.length;

function ulid(milliseconds: number): string {
  if (used + 16 > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  let time = '';
  for (let rest = milliseconds, i = 0; i < 10; i++, rest = Math.floor(rest / 32)) {
    time = ALPHABET.charAt(rest % 32) + time;
  }
  let random = '';
  for (let i = 0; i < 16; i++) random += ALPHABET.charAt((pool[used++] as number) & 31);
  return time + random;
}
