import { randomUUID } from 'node:crypto';
import { importPKCS8, SignJWT } from 'jose';
import type { Credential } from '../../../src/client/index.ts';

/** What the suite tells a client about a scenario, as far as it is used. */
type Context = {
  readonly client_id?: string;
  readonly private_key_pem?: string;
  readonly valid_jwt?: string;
};

/** The credential that a scenario is for, and whether the server of its story binds tokens to keys. */
export async function readContext(
  env: NodeJS.ProcessEnv,
): Promise<{ readonly credential: Credential; readonly allowBearer: boolean }> {
  const scenario = env['MCP_CONFORMANCE_SCENARIO'] ?? '';
  const context = JSON.parse(env['MCP_CONFORMANCE_CONTEXT'] ?? '{}') as Context;
  return { credential: await toCredential(context), allowBearer: !scenario.startsWith('auth/dpop') };
}

async function toCredential({ client_id, private_key_pem, valid_jwt }: Context): Promise<Credential> {
  if (valid_jwt !== undefined) {
    return { kind: 'assertion', assertion: async () => valid_jwt, ...(client_id && { clientId: client_id }) };
  }
  if (private_key_pem !== undefined && client_id !== undefined) {
    const key = await importPKCS8(private_key_pem, 'ES256');
    const assertion = (issuer: string) =>
      new SignJWT({ jti: randomUUID() })
        .setProtectedHeader({ alg: 'ES256' })
        .setIssuer(client_id)
        .setSubject(client_id)
        .setAudience(issuer)
        .setIssuedAt()
        .setExpirationTime('1m')
        .sign(key);
    return { kind: 'client-assertion', clientId: client_id, assertion };
  }
  return { kind: 'login', redirectUri: 'http://127.0.0.1:1/callback', visit: logInAtOnce };
}

/** The suite's server logs everybody in without asking: it answers with the redirect. */
async function logInAtOnce(address: URL): Promise<URL> {
  const response = await fetch(address, { redirect: 'manual' });
  return new URL(response.headers.get('location') ?? '');
}
