import { randomUUID } from 'node:crypto';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { toEpochSeconds } from '../base/index.ts';

/** What one DPoP proof (RFC 9449 §4.2) speaks for. */
export type ProofSubject = {
  readonly method: string;
  /** Query and fragment are left out of the proof. */
  readonly url: URL;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** SHA-256 of the access token that goes with it, base64url. */
  readonly tokenHash?: string;
};

/** The key that a run stands for. The private half can sign and can never be read, not even by this process. */
export type ProofKey = { readonly prove: (subject: ProofSubject) => Promise<string> };

/** Makes a new ES256 key. */
export async function createProofKey(): Promise<ProofKey> {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: false });
  const header = { alg: 'ES256', typ: 'dpop+jwt', jwk: await exportJWK(publicKey) };
  return {
    prove: ({ method, url, now, tokenHash }) =>
      new SignJWT({
        jti: randomUUID(),
        htm: method,
        htu: url.origin + url.pathname,
        iat: toEpochSeconds(now),
        ...(tokenHash !== undefined && { ath: tokenHash }),
      })
        .setProtectedHeader(header)
        .sign(privateKey),
  };
}
