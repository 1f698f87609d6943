import { X509Certificate } from 'node:crypto';
import { type Clock, err, ok, type Result, sha256 } from '../../base/index.ts';
import type { KeyThumbprint } from '../run.ts';
import { parseWorkloadId, type TrustDomain } from '../spiffe-id.ts';
import { DER, oidText, readDer, readOne } from './der.ts';

/** A client certificate that names a workload. Its chain was verified by the listener of its trust domain. */
export type X509Svid = {
  readonly spiffeId: string;
  readonly trustDomain: TrustDomain;
  /** SHA-256 of the DER bytes, base64url: `x5t#S256` (RFC 8705 §3.1). */
  readonly thumbprint: KeyThumbprint;
  /** Seconds since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
};

const OID = {
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  extendedKeyUsage: '2.5.29.37',
  clientAuth: '1.3.6.1.5.5.7.3.2',
} as const;
const UNDERSTOOD: ReadonlySet<string> = new Set([
  OID.keyUsage,
  OID.subjectAltName,
  OID.basicConstraints,
  OID.extendedKeyUsage,
]);
/** Bits of the first byte of a key usage (RFC 5280 §4.2.1.3). */
const USAGE = { digitalSignature: 0x80, keyCertSign: 0x04, crlSign: 0x02 } as const;

type Extension = { readonly isCritical: boolean; readonly value: Uint8Array };

/**
 * Reads a leaf certificate as an X509-SVID (X509-SVID §2, §4): one URI in its names and that a SPIFFE ID of
 * `trustDomain`, no CA, for signatures, for TLS clients. The chain is not looked at here. Error: why it is none.
 */
export function parseX509Svid(der: Uint8Array, trustDomain: TrustDomain): Result<X509Svid, string> {
  let uris: readonly string[];
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(der);
    const extensions = readExtensions(certificate.raw);
    const problem = usageProblem(certificate, extensions);
    if (problem !== undefined) return err(problem);
    uris = uriNames(extensions);
  } catch {
    return err('the client certificate cannot be read');
  }
  const [uri] = uris;
  if (uri === undefined || uris.length > 1)
    return err('the client certificate must have exactly one URI name');
  const workload = parseWorkloadId(uri);
  if (workload === undefined) return err('the URI name of the client certificate is not a SPIFFE ID');
  if (workload.trustDomain !== trustDomain)
    return err('the client certificate is of another trust domain than this listener');
  return ok({
    spiffeId: workload.id,
    trustDomain,
    thumbprint: sha256(certificate.raw) as KeyThumbprint,
    notBefore: Math.ceil(certificate.validFromDate.getTime() / 1000),
    notAfter: Math.floor(certificate.validToDate.getTime() / 1000),
  });
}

/** Is the time of a certificate come and not over? */
export function isInTime({ notBefore, notAfter }: X509Svid, now: Clock): boolean {
  const seconds = now() / 1000;
  return seconds >= notBefore && seconds < notAfter;
}

/** The URIs among the names, from the bytes: a name written out as text can be made to look like two. */
function uriNames(extensions: ReadonlyMap<string, Extension>): readonly string[] {
  const names = extensions.get(OID.subjectAltName);
  if (names === undefined) return [];
  return readDer(readOne(names.value, DER.sequence).content)
    .filter(({ tag }) => tag === DER.uriName)
    .map(({ content }) => Buffer.from(content).toString('latin1'));
}

/** OpenSSL does not count a certificate as an authority whose key usage contradicts it. */
function saysAuthority(constraints: Extension | undefined): boolean {
  if (constraints === undefined) return false;
  const [first] = readDer(readOne(constraints.value, DER.sequence).content);
  return first?.tag === DER.boolean && first.content[0] !== 0;
}

function usageProblem(
  certificate: X509Certificate,
  extensions: ReadonlyMap<string, Extension>,
): string | undefined {
  if (certificate.ca || saysAuthority(extensions.get(OID.basicConstraints)))
    return 'the client certificate is that of an authority';
  const usage = extensions.get(OID.keyUsage);
  const [, bits = 0] = usage === undefined ? [] : readOne(usage.value, DER.bitString).content;
  if ((bits & USAGE.digitalSignature) === 0) return 'the client certificate must be for digital signatures';
  if ((bits & (USAGE.keyCertSign | USAGE.crlSign)) !== 0)
    return 'the client certificate must not be for signing certificates';
  const extended = extensions.get(OID.extendedKeyUsage);
  const purposes =
    extended === undefined ? undefined : readDer(readOne(extended.value, DER.sequence).content);
  if (purposes?.some(({ content }) => oidText(content) === OID.clientAuth) === false)
    return 'the client certificate must be for TLS clients';
  const isStrange = [...extensions].some(([oid, { isCritical }]) => isCritical && !UNDERSTOOD.has(oid));
  return isStrange ? 'the client certificate has a critical extension that is not known' : undefined;
}

/** The extensions of a certificate (RFC 5280 §4.1). Throws for bytes that are not one, and for a repeated one. */
function readExtensions(der: Uint8Array): ReadonlyMap<string, Extension> {
  const [tbs] = readDer(readOne(der, DER.sequence).content);
  const explicit = readDer(tbs?.content ?? new Uint8Array()).find(({ tag }) => tag === DER.explicit3);
  const extensions = new Map<string, Extension>();
  if (explicit === undefined) return extensions;
  for (const { content } of readDer(readOne(explicit.content, DER.sequence).content)) {
    const parts = readDer(content);
    const [oid] = parts;
    const value = parts.at(-1);
    if (oid?.tag !== DER.oid || value?.tag !== DER.octetString || parts.length > 3)
      throw new Error('no extension');
    const name = oidText(oid.content);
    if (extensions.has(name)) throw new Error('the same extension twice');
    const isCritical = parts.length === 3 && parts[1]?.content[0] !== 0;
    extensions.set(name, { isCritical, value: value.content });
  }
  return extensions;
}

/** PEM certificates as they are in a bundle file. Throws for text that holds none or one that is no CA. */
export function parseTrustAnchors(pem: string): readonly string[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) throw new Error('holds no certificate');
  for (const block of blocks) {
    if (!new X509Certificate(block).ca)
      throw new Error('holds a certificate that is not that of an authority');
  }
  return blocks;
}
