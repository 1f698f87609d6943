import { randomUUID } from 'node:crypto';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, SignJWT } from 'jose';
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
export type ProofKey = {
  /** RFC 7638, base64url. */
  readonly thumbprint: string;
  /** Signs a proof, with the nonce that the server of the URL gave last. */
  readonly prove: (subject: ProofSubject) => Promise<string>;
  /** Takes the nonce of an answer, if it has one (RFC 9449 §8.2). True when it is another than before. */
  readonly observe: (url: URL, response: Response) => boolean;
};

/** RFC 9449 §8.1; no server needs one this long. */
const NONCE = /^[\x21\x23-\x5B\x5D-\x7E]{1,512}$/;

/** Makes a new ES256 key. Each server has its own nonces: one never learns another's. */
export async function createProofKey(): Promise<ProofKey> {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: false });
  const jwk = await exportJWK(publicKey);
  const header = { alg: 'ES256', typ: 'dpop+jwt', jwk };
  const nonces = new Map<string, string>();
  return {
    thumbprint: await calculateJwkThumbprint(jwk),
    prove: ({ method, url, now, tokenHash }) => {
      const nonce = nonces.get(url.origin);
      return new SignJWT({
        jti: randomUUID(),
        htm: method,
        htu: url.origin + url.pathname,
        iat: toEpochSeconds(now),
        ...(tokenHash !== undefined && { ath: tokenHash }),
        ...(nonce !== undefined && { nonce }),
      })
        .setProtectedHeader(header)
        .sign(privateKey);
    },
    observe: ({ origin }, response) => {
      const nonce = response.headers.get('dpop-nonce');
      if (nonce === null || !NONCE.test(nonce) || nonces.get(origin) === nonce) return false;
      nonces.set(origin, nonce);
      return true;
    },
  };
}
