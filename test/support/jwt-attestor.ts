import { type Attestor, createJwtAttestor, type JwtAttestorEntry } from '../../src/identity/index.ts';
import { PUBLIC_URL } from './authority.ts';
import type { TestIssuer } from './issuer.ts';
import type { ManualClock } from './manual-clock.ts';

/** An attestor that takes `sub: job-7` of an issuer for the agent ops-desk. */
export function jwtAttestor(
  issuer: TestIssuer,
  { now }: Pick<ManualClock, 'now'>,
  changes: Partial<JwtAttestorEntry> = {},
): Attestor {
  const entry: JwtAttestorEntry = {
    name: 'ci',
    issuer: issuer.url,
    jwks: { url: `${issuer.url}/keys` },
    algorithms: ['ES256'],
    rules: [{ agent: 'ops-desk', claims: { sub: 'job-7' } }],
    ...changes,
  };
  return createJwtAttestor(entry, { issuer: PUBLIC_URL, now, fetch: issuer.fetch });
}
