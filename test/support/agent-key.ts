import { generateKeyPairSync, type KeyObject, randomUUID, sign } from 'node:crypto';
import { type Clock, type JsonObject, sha256 } from '../../src/base/index.ts';
import type { KeyThumbprint } from '../../src/identity/index.ts';

/** Signs a JWS by hand, so that a test can put anything into it. */
export function signJws(header: JsonObject, claims: JsonObject | string, key: KeyObject): string {
  const payload = typeof claims === 'string' ? claims : JSON.stringify(claims);
  const input = `${base64url(JSON.stringify(header))}.${base64url(payload)}`;
  const signature = sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' });
  return `${input}.${signature.toString('base64url')}`;
}

export function base64url(text: string): string {
  return Buffer.from(text).toString('base64url');
}

export type ProofOptions = {
  readonly method?: string;
  readonly url: string;
  readonly token?: string;
  readonly header?: JsonObject;
  readonly claims?: JsonObject;
};

/** An agent's DPoP key, with a proof signer that can be made to misbehave. */
export type AgentKey = {
  readonly privateKey: KeyObject;
  readonly jwk: { readonly kty: 'EC'; readonly crv: 'P-256'; readonly x: string; readonly y: string };
  readonly thumbprint: KeyThumbprint;
  /** `header` and `claims` replace what a good proof would have. */
  readonly prove: (options: ProofOptions) => string;
};

export function createAgentKey(now: Clock): AgentKey {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' });
  const jwk = { kty: 'EC', crv: 'P-256', x, y } as const;
  const thumbprint = sha256(`{"crv":"P-256","kty":"EC","x":"${x}","y":"${y}"}`) as KeyThumbprint;
  return {
    privateKey,
    jwk,
    thumbprint,
    prove: ({ method = 'POST', url, token, header = {}, claims = {} }) =>
      signJws(
        { typ: 'dpop+jwt', alg: 'ES256', jwk, ...header },
        {
          jti: randomUUID(),
          htm: method,
          htu: url,
          iat: Math.floor(now() / 1000),
          ...(token === undefined ? {} : { ath: sha256(token) }),
          ...claims,
        },
        privateKey,
      ),
  };
}
