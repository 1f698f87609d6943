import type { Clock } from '../base/index.ts';
import {
  type Attestor,
  type CertificateAttestor,
  type ClaimRule,
  createJoinTokens,
  createJwtAttestor,
  createPrivateKeyJwtAttestor,
  createSafeFetch,
  createSpiffeJwtAttestor,
  createX509Attestor,
  type JoinTokens,
  reachOf,
  type TrustDomain,
} from '../identity/index.ts';
import type { AttestorConfig } from './config-identity.ts';

export type AttestorsDeps = {
  /** Our own issuer identifier. */
  readonly issuer: string;
  readonly trustDomain: TrustDomain;
  readonly now: Clock;
  /** `NODE_ENV=production`: development attestors are refused. */
  readonly production: boolean;
  /** Rules that came with agents registered while the gateway runs. */
  readonly registeredRules: (attestor: string) => readonly ClaimRule[];
};

/** All ways of proving where a run comes from. */
export type Attestors = {
  readonly attestors: readonly Attestor[];
  readonly certificates: readonly CertificateAttestor[];
  readonly joinTokens: JoinTokens | undefined;
};

/** Throws `ERR_CONFIG_INVALID` for the first entry that cannot be, with all its mistakes. */
export function createAttestors(entries: readonly AttestorConfig[], deps: AttestorsDeps): Attestors {
  const attestors: Attestor[] = [];
  const certificates: CertificateAttestor[] = [];
  let joinTokens: JoinTokens | undefined;
  for (const entry of entries) {
    switch (entry.kind) {
      case 'jwt':
        attestors.push(
          createJwtAttestor(entry, { ...deps, fetch: fetchFor(urlOf(entry), entry.privateNetwork) }),
        );
        break;
      case 'spiffe-jwt': {
        const url = 'url' in entry.bundle ? entry.bundle.url : '';
        attestors.push(
          createSpiffeJwtAttestor(entry, { ...deps, fetch: fetchFor(url, entry.privateNetwork) }),
        );
        break;
      }
      case 'spiffe-x509':
        certificates.push(createX509Attestor(entry, deps));
        break;
      case 'private-key-jwt': {
        const urls = entry.clients.map(({ jwks }) => ('url' in jwks ? jwks.url : ''));
        const loopback = urls.find((url) => reachOf(url, false) === 'loopback') ?? '';
        attestors.push(
          createPrivateKeyJwtAttestor(entry, { ...deps, fetch: fetchFor(loopback, entry.privateNetwork) }),
        );
        break;
      }
      case 'join-token':
        joinTokens = createJoinTokens({ name: entry.name, now: deps.now, production: deps.production });
        attestors.push(joinTokens);
    }
  }
  return { attestors, certificates, joinTokens };
}

function urlOf({ jwks, issuer }: Extract<AttestorConfig, { kind: 'jwt' }>): string {
  if ('url' in jwks) return jwks.url;
  return 'file' in jwks ? '' : issuer;
}

function fetchFor(url: string, privateNetwork: boolean) {
  return createSafeFetch({ reach: reachOf(url, privateNetwork) });
}
