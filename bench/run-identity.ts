import { createPrivateKey, generateKeyPairSync, hash, type KeyObject, randomUUID, sign } from 'node:crypto';
import type { RunGrant } from './load-protocol.ts';

/** A run as one caller holds it: its key and a token that is good for a while. */
export type RunIdentity = {
  /** Fetches a token unless the one in hand has two minutes left. */
  readonly renew: () => Promise<void>;
  /** Headers of one request: the token and a new proof (RFC 9449). */
  readonly headers: (url: string) => Record<string, string>;
};

const TWO_MINUTES = 120_000;

/** Makes a key for a new run; the first `renew` opens the run. */
export function createRunIdentity(grant: RunGrant): RunIdentity {
  const key = createProofKey();
  const issuerKey = createPrivateKey({ key: grant.issuerKey, format: 'jwk' });
  let token = { value: '', hash: '', expiresAt: 0 };
  return {
    renew: async () => {
      if (token.expiresAt - Date.now() > TWO_MINUTES) return;
      token = await fetchToken(grant, assertion(grant, issuerKey), prove(key, grant.tokenUrl));
    },
    headers: (url) => ({
      authorization: `DPoP ${token.value}`,
      dpop: prove(key, url, token.hash),
    }),
  };
}

type ProofKey = { readonly privateKey: KeyObject; readonly header: string };

function createProofKey(): ProofKey {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { kty, crv, x, y } = publicKey.export({ format: 'jwk' });
  return { privateKey, header: encode({ typ: 'dpop+jwt', alg: 'ES256', jwk: { kty, crv, x, y } }) };
}

function prove(key: ProofKey, url: string, tokenHash?: string): string {
  const claims = {
    jti: randomUUID(),
    htm: 'POST',
    htu: url,
    iat: seconds(),
    ...(tokenHash !== undefined && { ath: tokenHash }),
  };
  return signed(`${key.header}.${encode(claims)}`, key.privateKey);
}

function assertion(grant: RunGrant, key: KeyObject): string {
  const header = encode({ typ: 'JWT', alg: 'ES256', kid: grant.issuerKey.kid });
  const iat = seconds();
  const claims = {
    iss: grant.issuer,
    sub: grant.subject,
    aud: grant.audience,
    iat,
    exp: iat + 300,
    jti: randomUUID(),
  };
  return signed(`${header}.${encode(claims)}`, key);
}

async function fetchToken(grant: RunGrant, assertion: string, proof: string) {
  const response = await fetch(grant.tokenUrl, {
    method: 'POST',
    headers: { dpop: proof, accept: 'application/json' },
    body: new URLSearchParams({
      grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
      assertion,
      resource: grant.resource,
      authorization_details: JSON.stringify([{ type: 'sallyport_intent', purpose: grant.purpose }]),
    }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${grant.tokenUrl} answered ${response.status}: ${text.slice(0, 500)}`);
  const answer = JSON.parse(text) as { access_token: string; expires_in: number };
  return {
    value: answer.access_token,
    hash: hash('sha256', answer.access_token, 'base64url'),
    expiresAt: Date.now() + answer.expires_in * 1000,
  };
}

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
const seconds = () => Math.floor(Date.now() / 1000);

function signed(input: string, key: KeyObject): string {
  const signature = sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' });
  return `${input}.${signature.toString('base64url')}`;
}
