import { generateKeyPairSync, type KeyObject, randomUUID, sign } from 'node:crypto';
import type { Clock, JsonObject } from '../../src/base/index.ts';
import type { Fetch } from '../../src/identity/index.ts';
import { base64url } from './agent-key.ts';
import { PUBLIC_URL } from './authority.ts';

type Kind = 'ES256' | 'ES384' | 'RS256';

/** An issuer in memory: signs what it is told and publishes its keys under a URL. */
export type TestIssuer = {
  readonly url: string;
  /** `claims` and `header` replace what a good token would have. */
  readonly sign: (claims?: JsonObject, header?: JsonObject, alg?: Kind) => string;
  readonly jwks: () => { keys: JsonObject[] };
  /** Forgets the keys it had and makes new ones. */
  readonly rotate: () => void;
  /** Serves the discovery document and the keys; counts how often. */
  readonly fetch: Fetch;
  asked: number;
  isDown: boolean;
  /** What is served instead of the keys. */
  document: unknown;
};

const HASH = { ES256: 'sha256', ES384: 'sha384', RS256: 'sha256' } as const;

export function createTestIssuer(url: string, now: Clock, audience = PUBLIC_URL): TestIssuer {
  let kid = 0;
  let keys = makeKeys();
  function makeKeys(): Record<Kind, { privateKey: KeyObject; publicKey: KeyObject }> {
    kid++;
    return {
      ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
      ES384: generateKeyPairSync('ec', { namedCurve: 'P-384' }),
      RS256: generateKeyPairSync('rsa', { modulusLength: 2048 }),
    };
  }
  const jwks = () => ({
    keys: Object.entries(keys).map(([alg, { publicKey }]) => ({
      ...(publicKey.export({ format: 'jwk' }) as JsonObject),
      kid: `${alg}-${kid}`,
    })),
  });
  const issuer: TestIssuer = {
    url,
    asked: 0,
    isDown: false,
    document: undefined,
    jwks,
    rotate: () => {
      keys = makeKeys();
    },
    sign(claims = {}, header = {}, alg = 'ES256') {
      const iat = Math.floor(now() / 1000);
      const body = { iss: url, aud: audience, iat, exp: iat + 300, jti: randomUUID(), ...claims };
      const head = { alg, kid: `${alg}-${kid}`, typ: 'JWT', ...header };
      const input = `${base64url(JSON.stringify(head))}.${base64url(JSON.stringify(body))}`;
      const key = { key: keys[alg].privateKey, dsaEncoding: 'ieee-p1363' } as const;
      return `${input}.${sign(HASH[alg], Buffer.from(input), key).toString('base64url')}`;
    },
    async fetch(at) {
      issuer.asked++;
      if (issuer.isDown) throw new Error('connection refused');
      if (at.endsWith('/.well-known/openid-configuration')) {
        return new Response(JSON.stringify({ issuer: url, jwks_uri: `${url}/keys` }));
      }
      return new Response(JSON.stringify(issuer.document ?? jwks()));
    },
  };
  return issuer;
}
