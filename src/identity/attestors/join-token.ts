import { randomBytes } from 'node:crypto';
import {
  type AgentName,
  type Clock,
  err,
  ok,
  SallyportError,
  sha256,
  toEpochSeconds,
} from '../../base/index.ts';
import type { Attestor } from './attestor.ts';

/** Seconds in which a join token may open its one run. */
export const JOIN_TOKEN_SECONDS = 600;

/** One-time tokens for development: whoever reads the terminal of the gateway may start one run. */
export interface JoinTokens extends Attestor {
  /** Makes a token for an agent. It is shown once and kept as a digest. */
  issue(agent: AgentName): string;
}

const PREFIX = 'sjt_';
const LONGEST_RUN_SECONDS = 86_400;

/** Throws `ERR_CONFIG_INVALID` in production, where evidence must come from a platform. */
export function createJoinTokens(options: {
  readonly name?: string;
  readonly now: Clock;
  readonly production: boolean;
}): JoinTokens {
  if (options.production) {
    throw new SallyportError(
      'ERR_CONFIG_INVALID',
      'attestors: join-token is for development; remove it, or unset NODE_ENV=production',
    );
  }
  const { name = 'join-token', now } = options;
  const issued = new Map<string, { readonly agent: AgentName; readonly opensRunsUntil: number }>();

  function forgetOld(nowSeconds: number): void {
    for (const [digest, { opensRunsUntil }] of issued) {
      if (opensRunsUntil + LONGEST_RUN_SECONDS < nowSeconds) issued.delete(digest);
    }
  }

  return {
    name,
    forms: ['grant'],
    issue(agent) {
      const nowSeconds = toEpochSeconds(now());
      forgetOld(nowSeconds);
      const token = PREFIX + randomBytes(32).toString('base64url');
      issued.set(sha256(token), { agent, opensRunsUntil: nowSeconds + JOIN_TOKEN_SECONDS });
      return token;
    },
    recognises: (assertion) => assertion.startsWith(PREFIX),
    async attest(assertion, asAgent) {
      const digest = sha256(assertion);
      const found = issued.get(digest); // by digest: the time it takes says nothing about the token
      if (found === undefined || (asAgent !== undefined && asAgent !== found.agent)) {
        return err({
          reason: 'invalid',
          detail: 'the join token is not known; restart the gateway for a new one',
        });
      }
      const { agent, opensRunsUntil } = found;
      const evidence = { attestor: name, digest, claims: { kind: 'join-token' } };
      return ok({ agent, evidence, expiresAt: opensRunsUntil + LONGEST_RUN_SECONDS, opensRunsUntil });
    },
  };
}
