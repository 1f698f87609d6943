import { createPrivateKey, randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { importPKCS8, SignJWT } from 'jose';
import type { Credential } from '../../../src/client/index.ts';

/** A scenario of the suite, as it tells a client about it (environment of the process). */
export type Story = {
  readonly scenario: string;
  readonly revision: string;
  readonly clientId?: string;
  /** PKCS #8. */
  readonly key?: string;
  readonly assertion?: string;
  /** Does the server of the story bind no tokens to keys? */
  readonly isBearer: boolean;
};

/** The document that a client of the suite is described in, where servers take URLs for client ids. */
const CLIENT_DOCUMENT = 'https://conformance-test.local/client-metadata.json';

export function readStory(env: NodeJS.ProcessEnv): Story {
  const scenario = env['MCP_CONFORMANCE_SCENARIO'] ?? '';
  const context = JSON.parse(env['MCP_CONFORMANCE_CONTEXT'] ?? '{}') as Record<string, string | undefined>;
  const { client_id, private_key_pem: key, valid_jwt: assertion } = context;
  const clientId = scenario === 'auth/basic-cimd' ? CLIENT_DOCUMENT : client_id;
  return {
    scenario,
    revision: env['MCP_CONFORMANCE_PROTOCOL_VERSION'] ?? '',
    ...(clientId === undefined ? {} : { clientId }),
    ...(key === undefined ? {} : { key }),
    ...(assertion === undefined ? {} : { assertion }),
    isBearer: !scenario.startsWith('auth/dpop'),
  };
}

/** The credential of a story for `sallyport/client`. */
export async function toCredential({ clientId, key, assertion }: Story): Promise<Credential> {
  const named = clientId === undefined ? {} : { clientId };
  if (assertion !== undefined) return { kind: 'assertion', assertion: async () => assertion, ...named };
  if (key === undefined || clientId === undefined) {
    const redirectUri = 'http://127.0.0.1:1/callback';
    return { kind: 'login', redirectUri, visit: async (address) => returnOf(address), ...named };
  }
  const signer = await importPKCS8(key, 'ES256');
  const sign = (issuer: string): Promise<string> =>
    new SignJWT({ jti: randomUUID(), iss: clientId, sub: clientId, aud: issuer })
      .setProtectedHeader({ alg: 'ES256' })
      .setIssuedAt()
      .setExpirationTime('1m')
      .sign(signer);
  return { kind: 'client-assertion', clientId, assertion: sign };
}

/** The same as arguments of `sallyport connect`, with files in `folder`. */
export function toArguments({ clientId, key, assertion, isBearer }: Story, folder: string): string[] {
  const bearer = isBearer ? ['--allow-bearer'] : [];
  const subject = clientId === undefined ? [] : ['--subject', clientId];
  if (assertion !== undefined) {
    const file = join(folder, 'token.jwt');
    writeFileSync(file, `${assertion}\n`);
    return ['--assertion-file', file, ...subject, ...bearer];
  }
  if (key === undefined) return ['--login', ...(clientId === undefined ? [] : [clientId]), ...bearer];
  const file = join(folder, 'key.json');
  writeFileSync(file, JSON.stringify(createPrivateKey(key).export({ format: 'jwk' })), { mode: 0o600 });
  return ['--key', file, ...subject, ...bearer];
}

/** Where the suite's server sends a person back to: it logs everybody in without asking. */
async function returnOf(address: URL): Promise<URL> {
  const response = await fetch(address, { redirect: 'manual' });
  return new URL(response.headers.get('location') ?? '');
}
