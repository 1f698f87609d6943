import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  Client,
  DpopSession,
  type OAuthClientProvider,
  PrivateKeyJwtProvider,
  StreamableHTTPClientTransport,
} from '@modelcontextprotocol/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Lab, openLab } from '../../support/open-lab.ts';
import { readRecords } from '../../support/open-ops-gateway.ts';
import { startFeatureServer } from '../../support/start-feature-server.ts';

const AGENT = 'sdk-agent';
const INTENT = { type: 'sallyport_intent', purpose: 'test' };

let stack: AsyncDisposableStack;
let lab: Lab;
let key: KeyObject;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-sdk-'));
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  key = pair.privateKey;
  const file = join(folder, 'jwks.json');
  writeFileSync(
    file,
    JSON.stringify({ keys: [{ ...pair.publicKey.export({ format: 'jwk' }), kid: 'own' }] }),
  );
  const upstream = stack.use(await startFeatureServer());
  lab = stack.use(
    await openLab({
      upstreams: [{ name: 'files', transport: { kind: 'http', url: upstream.url } }],
      more: {
        agents: [
          {
            name: AGENT,
            owner: { kind: 'team', name: 'lab', contact: 'lab@lab.example' },
            purposes: ['test'],
            tools: ['files/*'],
          },
        ],
        attestors: [
          { kind: 'private-key-jwt', name: 'own-keys', clients: [{ agent: AGENT, jwks: { file } }] },
        ],
      },
    }),
  );
});
afterAll(() => stack.disposeAsync());

/** As an SDK user writes it: the provider of the SDK, its session for proofs, and options of both. */
async function provider(claims: Record<string, unknown>): Promise<OAuthClientProvider> {
  const session = await DpopSession.create({ alg: 'ES256' });
  const own: OAuthClientProvider = new PrivateKeyJwtProvider({
    clientId: AGENT,
    privateKey: key.export({ format: 'jwk' }) as Record<string, unknown>,
    algorithm: 'ES256',
    expectedIssuer: lab.publicUrl,
    claims,
  });
  own.dpop = () => session;
  return own;
}

async function connect(authProvider: OAuthClientProvider): Promise<Client> {
  const client = new Client({ name: 'sdk', version: '1' }, { versionNegotiation: { mode: 'auto' } });
  await client.connect(
    new StreamableHTTPClientTransport(new URL(`${lab.publicUrl}/mcp/files`), { authProvider }),
  );
  return client;
}

describe('the private key provider of the SDK', () => {
  it('gets a bound run token through our metadata and calls a tool, with options and nothing else', async () => {
    const authProvider = await provider({ authorization_details: [INTENT] });
    const client = await connect(authProvider);
    const { tools } = await client.listTools();
    expect(tools.length).toBeGreaterThan(0);
    const [tool] = tools;
    await client.callTool({ name: tool?.name ?? '', arguments: {} });
    expect(await authProvider.tokens()).toMatchObject({ token_type: 'DPoP' });
    await client.close();
    const records = readRecords(lab.data);
    const opened = records.filter((record) => record.type === 'run.open' && record.agent === AGENT);
    expect(opened).toMatchObject([{ purpose: 'test', evidence: { attestor: 'own-keys' } }]);
  });

  it('is refused without an intent: what a run is for is not guessed', async () => {
    await expect(connect(await provider({}))).rejects.toThrow(/authorization_details|purpose/);
  });
});
