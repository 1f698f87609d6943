import { mkdir, writeFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { exportJWK, generateKeyPair } from 'jose';

/** Who a client of your own is to the gateway: an agent with a key pair and an attestor that trusts it. */
export type OwnClient = {
  readonly agent: object;
  readonly attestor: object;
  readonly keyFile: string;
};

const ISSUER = 'https://clients.ops.example';
const SUBJECT = 'my-mcp-client';
const PURPOSE = 'refund-desk';

/** Makes the key pair in `folder` and says what the configuration needs to trust it. */
export async function createOwnClient(folder: string): Promise<OwnClient> {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
  const keyFile = join(folder, 'client-key.jwk');
  const jwksFile = join(folder, 'client-jwks.json');
  const kid = 'my-mcp-client-1';
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeFile(keyFile, JSON.stringify({ ...(await exportJWK(privateKey)), kid }), { mode: 0o600 });
  await writeFile(
    jwksFile,
    JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid, alg: 'ES256' }] }),
  );
  return {
    keyFile,
    agent: {
      name: 'my-mcp-client',
      owner: { kind: 'person', name: 'you', contact: 'this terminal' },
      purposes: [PURPOSE],
      tools: ['files/*', 'everything/*'],
    },
    attestor: {
      kind: 'jwt',
      name: 'own-clients',
      issuer: ISSUER,
      jwks: { file: jwksFile },
      algorithms: ['ES256'],
      rules: [{ agent: 'my-mcp-client', claims: { sub: SUBJECT } }],
    },
  };
}

/** The block for an MCP client's configuration: starts the connector, which is the client's stdio server. */
export function clientBlock(publicUrl: string, { keyFile }: OwnClient): string {
  const main = resolve(import.meta.dirname, '../../src/cli/main.ts');
  const server = (upstream: string): object => ({
    command: process.execPath,
    args: [
      '--conditions=sallyport-source',
      main,
      'connect',
      `${publicUrl}/mcp/${upstream}`,
      '--key',
      resolve(keyFile),
      '--issuer',
      ISSUER,
      '--subject',
      SUBJECT,
      '--purpose',
      PURPOSE,
    ],
  });
  return JSON.stringify(
    { mcpServers: { files: server('files'), everything: server('everything') } },
    null,
    2,
  );
}

/** A path as short as it can be typed from here. */
export function shortPath(path: string): string {
  const short = relative(process.cwd(), path);
  return short.startsWith('..') ? path : short;
}
