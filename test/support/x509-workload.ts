import { type KeyThumbprint, parseTrustDomain, type X509Svid } from '../../src/identity/index.ts';

/** A verified client certificate, as a listener hands it on. */
export function aWorkload(nowSeconds: number, spiffeId = 'spiffe://workloads.example.org/desk'): X509Svid {
  const trustDomain = parseTrustDomain('workloads.example.org');
  if (trustDomain === undefined) throw new Error('trust domain');
  const thumbprint = 'A'.repeat(43) as KeyThumbprint;
  return { spiffeId, trustDomain, thumbprint, notBefore: nowSeconds - 60, notAfter: nowSeconds + 600 };
}
