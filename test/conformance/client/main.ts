import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { openResource } from '../../../src/client/index.ts';
import { readContext } from './context.ts';

// What the suite starts to test `sallyport/client`: connects to the server it is given, and calls a tool.

const url = process.argv.at(-1) ?? '';
const resource = await openResource({ url, ...(await readContext(process.env)) });
const client = new Client(
  { name: 'sallyport-client', version: '1' },
  { versionNegotiation: { mode: 'auto' } },
);
await client.connect(new StreamableHTTPClientTransport(new URL(url), { fetch: resource.fetch }));
await client.listTools();
await client.callTool({ name: 'test-tool', arguments: {} });
await client.close();
