import { ok } from '../base/index.ts';
import type { CredentialSource, UpstreamCredential } from '../identity/index.ts';

/** The same secret for every run, put in at the last moment: better than in the agent's hands, and no more than that. */
export function staticSecretSource(options: {
  readonly secret: string;
  /** Name in log and records; derived from where the secret lies, never from the secret. */
  readonly id: string;
  readonly variable?: string;
}): CredentialSource {
  const { secret, id, variable } = options;
  const credential: UpstreamCredential = {
    kind: 'static',
    id,
    expiresAt: NEVER,
    ...(variable === undefined
      ? { authorization: `Bearer ${secret}` }
      : { environment: { [variable]: secret } }),
  };
  return { kind: 'static', obtain: () => ok(credential), endRun: () => Promise.resolve() };
}

/** 9999-12-31: a date that stands out in a record. Seconds since the epoch. */
const NEVER = 253_402_300_799;
