import { type AgentName, type Clock, ok, type Result, SallyportError } from '../../base/index.ts';
import type { TrustDomain } from '../spiffe-id.ts';
import { invalid } from './assertion.ts';
import type { AttestationRefusal, Attested } from './attestor.ts';
import { chooseAgent, parseSpiffeRules, type SpiffeRuleEntry } from './spiffe-rules.ts';
import { isInTime, type X509Svid } from './x509-svid.ts';

/** A SPIFFE trust domain whose X509-SVIDs, shown on a TLS listener of its own, prove which workload a run is. */
export type X509AttestorEntry = {
  readonly name: string;
  readonly trustDomain: string;
  readonly rules: readonly SpiffeRuleEntry[];
};

/** Says which agent a verified client certificate stands for. */
export interface CertificateAttestor {
  readonly name: string;
  readonly trustDomain: TrustDomain;
  attest(svid: X509Svid, asAgent: AgentName | undefined): Result<Attested, AttestationRefusal>;
}

/** Throws `ERR_CONFIG_INVALID` with every mistake in the entry. */
export function createX509Attestor(
  entry: X509AttestorEntry,
  { trustDomain: ours, now }: { readonly trustDomain: string; readonly now: Clock },
): CertificateAttestor {
  const problems: string[] = [];
  const rules = parseSpiffeRules(`attestors.${entry.name}`, entry, ours, problems);
  if (problems.length > 0 || rules === undefined) {
    throw new SallyportError('ERR_CONFIG_INVALID', problems.join('; '));
  }
  return {
    name: entry.name,
    trustDomain: rules.trustDomain,
    attest(svid, asAgent) {
      if (svid.trustDomain !== rules.trustDomain || !isInTime(svid, now))
        return invalid('the client certificate is of another trust domain, or its time is over');
      const agent = chooseAgent(rules.agentsOf(svid.spiffeId), asAgent);
      if (agent === 'ambiguous') return invalid('it matches several agents; say which with client_id');
      if (agent === undefined) return invalid('its SPIFFE ID matches no rule for this agent');
      const claims = { sub: svid.spiffeId, trust_domain: svid.trustDomain, not_after: svid.notAfter };
      const evidence = { attestor: entry.name, digest: svid.thumbprint, claims };
      return ok({ agent, evidence, expiresAt: svid.notAfter, opensRunsUntil: svid.notAfter });
    },
  };
}
