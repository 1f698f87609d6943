// An MCP server over stdio with one tool, `query`, on the database that its environment names.
import { createInterface } from 'node:readline';
import pg from 'pg';

type Message = { id?: unknown; method?: string; params?: { arguments?: { sql?: string } } };

const client = new pg.Client(); // PGHOST, PGUSER, PGPASSWORD, ...
client.on('error', () => undefined);
const connected = client.connect();
connected.catch(() => undefined);

async function answer({ method, params }: Message): Promise<object> {
  if (method === 'initialize')
    return {
      protocolVersion: '2025-11-25',
      capabilities: { tools: {} },
      serverInfo: { name: 'database', version: '1' },
    };
  if (method === 'tools/list')
    return {
      tools: [
        {
          name: 'query',
          description: 'runs SQL',
          inputSchema: { type: 'object', properties: { sql: { type: 'string' } } },
          annotations: { readOnlyHint: true },
        },
      ],
    };
  try {
    await connected;
    const { rows } = await client.query(params?.arguments?.sql ?? '');
    return { content: [{ type: 'text', text: JSON.stringify(rows) }] };
  } catch (error) {
    return { content: [{ type: 'text', text: String(error) }], isError: true };
  }
}

createInterface({ input: process.stdin }).on('line', (line) => {
  const message = JSON.parse(line) as Message;
  if (message.id === undefined) return;
  void answer(message).then((result) =>
    process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', id: message.id, result })}\n`),
  );
});
