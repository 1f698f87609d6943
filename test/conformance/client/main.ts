import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, StreamableHTTPClientTransport, type Transport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { openResource } from '../../../src/client/index.ts';
import { connectorCommand, followAddresses, startListening } from './connector.ts';
import { readStory, type Story, toArguments, toCredential } from './story.ts';

// What the suite starts as the client under test, with the URL of a server: lists and calls tools there, by
// `sallyport/client` or through `sallyport connect`, as the first argument says.

async function viaClient(url: string, story: Story): Promise<Transport> {
  const credential = await toCredential(story);
  const { fetch } = await openResource({ url, credential, allowBearer: story.isBearer });
  return new StreamableHTTPClientTransport(new URL(url), { fetch });
}

/** Over stdio, which a client of 2026-07-28 opens twice without letting us read what the first one says: over HTTP. */
async function viaConnector(url: string, story: Story, cleanUp: DisposableStack): Promise<Transport> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-story-'));
  cleanUp.defer(() => rmSync(folder, { recursive: true, force: true }));
  const args = ['connect', url, '--direct', ...toArguments(story, folder)];
  if (isModern(story)) return new StreamableHTTPClientTransport(await startListening(args, cleanUp));
  const transport = new StdioClientTransport({ ...connectorCommand(args), stderr: 'pipe' });
  followAddresses(transport.stderr);
  return transport;
}

function isModern({ revision }: Story): boolean {
  return revision === '2026-07-28';
}

const [way = '', url = ''] = process.argv.slice(2);
const story = readStory(process.env);
using cleanUp = new DisposableStack();
const transport = way === 'connector' ? await viaConnector(url, story, cleanUp) : await viaClient(url, story);
const client = new Client(
  { name: 'sallyport', version: '1' },
  isModern(story) ? { versionNegotiation: { mode: { pin: '2026-07-28' } } } : {},
);
await client.connect(transport);
await client.listTools();
await client.callTool({ name: 'test-tool', arguments: {} });
await client.close();
