import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  CLIENT_KINDS,
  type ClientKind,
  connectClient,
  type GatewayClient,
} from '../support/gateway-clients.ts';
import { type Lab, openLab } from '../support/open-lab.ts';
import { readRecords } from '../support/open-ops-gateway.ts';
import { childrenWith } from '../support/processes.ts';
import { EVERYTHING, FILESYSTEM, startEverything } from '../support/start-everything.ts';
import { binOf } from './packages.ts';

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'sallyport-peers-')));
const files = join(folder, 'files');
const repository = join(folder, 'repository');
const database = join(folder, 'shop.db');

let everything: Awaited<ReturnType<typeof startEverything>>;
let lab: Lab;

function stdio(name: string, args: readonly string[], env: Record<string, string> = {}) {
  return { name, transport: { kind: 'stdio', command: process.execPath, args, env, cwd: folder } };
}

beforeAll(async () => {
  mkdirSync(files);
  writeFileSync(join(files, 'note.txt'), 'grüße aus dem Ordner');
  mkdirSync(repository);
  const git = (...args: string[]) => execFileSync('git', ['-C', repository, ...args], { stdio: 'pipe' });
  git('init', '--quiet', '--initial-branch=main');
  writeFileSync(join(repository, 'readme.md'), 'hello\n');
  git('add', '.');
  git('-c', 'user.name=Ada', '-c', 'user.email=ada@lab.example', 'commit', '--quiet', '-m', 'Begin the tale');
  using shop = new DatabaseSync(database);
  shop.exec(
    "CREATE TABLE orders (id INTEGER PRIMARY KEY, item TEXT); INSERT INTO orders (item) VALUES ('tea'), ('cake')",
  );
  everything = await startEverything();
  const standIn = join(import.meta.dirname, 'use-sqlite-stand-in.mjs');
  const dbhub = [binOf('@bytebase/dbhub'), '--transport', 'stdio', '--dsn', `sqlite://${database}`];
  lab = await openLab({
    upstreams: [
      { name: 'everything-http', transport: { kind: 'http', url: everything.url } },
      stdio('everything-stdio', [EVERYTHING, 'stdio']),
      stdio('filesystem', [FILESYSTEM, files]),
      stdio('memory', [binOf('@modelcontextprotocol/server-memory')], {
        MEMORY_FILE_PATH: join(folder, 'memory.jsonl'),
      }),
      stdio('thinking', [binOf('@modelcontextprotocol/server-sequential-thinking')]),
      stdio('git', [binOf('@cyanheads/git-mcp-server')], {
        MCP_TRANSPORT_TYPE: 'stdio',
        LOGS_DIR: join(folder, 'logs'),
      }),
      stdio('dbhub', ['--import', standIn, ...dbhub]),
    ],
  });
});

afterAll(async () => {
  await lab[Symbol.asyncDispose]();
  await everything[Symbol.asyncDispose]();
  expect(childrenWith(folder)).toEqual([]);
  rmSync(folder, { recursive: true, force: true });
});

/** Does something with a server through the gateway, as a run of its own, and looks that it is all in the log. */
async function withClient(kind: ClientKind, upstream: string, act: (client: GatewayClient) => Promise<void>) {
  await using run = await lab.startRun();
  await using client = await connectClient(kind, run, upstream);
  await act(client);
  const records = readRecords(lab.data).filter((record) => 'run' in record && record.run === run.id);
  const refused = records.filter(
    (record) => record.type === 'refusal' && record.subject?.method !== 'server/discover',
  );
  expect(refused).toEqual([]);
  expect(records.filter(({ type }) => type === 'intent').length).toBeGreaterThan(3);
}

describe.each(CLIENT_KINDS)('%s through the gateway', (kind) => {
  it.each(['everything-http', 'everything-stdio'])('uses all that %s offers', async (upstream) => {
    await withClient(kind, upstream, async (client) => {
      expect(client.instructions()).toContain('Everything');
      expect(await client.tools()).toEqual(
        expect.arrayContaining([
          'echo',
          'get-sum',
          'trigger-sampling-request',
          'trigger-elicitation-request',
        ]),
      );
      expect((await client.call('echo', { message: 'über alle Berge' })).text).toBe('Echo: über alle Berge');
      expect((await client.call('get-sum', { a: 2, b: 40 })).text).toContain('42');
      const weather = await client.call('get-structured-content', { location: 'Chicago' });
      expect(weather.structured).toMatchObject({ temperature: expect.any(Number) });
      const image = await client.call('get-tiny-image');
      expect(image.content.map(({ type }) => type)).toContain('image');
      expect((await client.call('get-sum', { a: 'two' })).isError).toBe(true);

      const progress: number[] = [];
      const steps = { duration: 0.4, steps: 4 };
      const long = await client.call('trigger-long-running-operation', steps, (at) => progress.push(at));
      expect(long.text).toContain('completed');
      expect(progress).toEqual([1, 2, 3, 4]);

      expect(await client.prompts()).toContain('args-prompt');
      expect(await client.prompt('args-prompt', { city: 'Ulm', state: 'BW' })).toContain('Ulm');
      expect((await client.complete('completable-prompt', 'department', 'E')).length).toBeGreaterThan(0);
      const [uri = ''] = await client.resources();
      expect((await client.read(uri)).length).toBeGreaterThan(20);
    });
  });

  it.each(['everything-http', 'everything-stdio'])(
    'is asked by %s: elicitation, sampling, roots',
    async (upstream) => {
      await withClient(kind, upstream, async (client) => {
        expect((await client.call('trigger-elicitation-request')).text).toContain('Ada');
        const sampled = await client.call('trigger-sampling-request', {
          prompt: 'say something',
          maxTokens: 10,
        });
        expect(sampled.text).toContain('sampled by the client');
        expect((await client.call('get-roots-list')).text).toContain('file:///workspace');
      });
    },
  );

  it.each(['everything-http', 'everything-stdio'])('hears what %s logs', async (upstream) => {
    await withClient(kind, upstream, async (client) => {
      await client.logLevel('debug');
      await client.call('toggle-simulated-logging');
      await expect.poll(() => client.logs.length, { timeout: 20_000 }).toBeGreaterThan(0);
      await client.call('toggle-simulated-logging');
    });
  });

  it('reads and writes files in the folder of server-filesystem, and none outside', async () => {
    await withClient(kind, 'filesystem', async (client) => {
      expect(await client.tools()).toContain('read_text_file');
      expect((await client.call('read_text_file', { path: join(files, 'note.txt') })).text).toContain(
        'grüße',
      );
      const path = join(files, `${kind}.txt`);
      expect((await client.call('write_file', { path, content: 'geschrieben' })).isError).toBe(false);
      expect(readFileSync(path, 'utf8')).toBe('geschrieben');
      expect((await client.call('list_directory', { path: files })).text).toContain('note.txt');
      expect((await client.call('read_text_file', { path: '/etc/hostname' })).isError).toBe(true);
    });
  });

  it('remembers in server-memory and reads it back, also as a resource', async () => {
    await withClient(kind, 'memory', async (client) => {
      const name = `ship of ${kind}`;
      const entities = [{ name, entityType: 'ship', observations: ['has three masts'] }];
      expect((await client.call('create_entities', { entities })).isError).toBe(false);
      expect((await client.call('search_nodes', { query: 'three masts' })).text).toContain(name);
      expect((await client.call('read_graph')).structured).toMatchObject({ entities: expect.any(Array) });
      for (const uri of await client.resources()) expect(await client.read(uri)).toContain(name);
    });
  });

  it('thinks with server-sequential-thinking', async () => {
    await withClient(kind, 'thinking', async (client) => {
      const thought = { thought: 'first', nextThoughtNeeded: true, thoughtNumber: 1, totalThoughts: 2 };
      expect((await client.call('sequentialthinking', thought)).text).toContain('"thoughtNumber": 1');
      const last = await client.call('sequentialthinking', {
        ...thought,
        thoughtNumber: 2,
        nextThoughtNeeded: false,
      });
      expect(last.text).toContain('"thoughtHistoryLength": 2');
    });
  });

  it('reads a repository with git-mcp-server', async () => {
    await withClient(kind, 'git', async (client) => {
      expect((await client.tools()).length).toBeGreaterThan(20);
      expect((await client.call('git_log', { path: repository })).text).toContain('Begin the tale');
      const status = await client.call('git_status', { path: repository });
      expect([status.isError, status.text]).toEqual([false, expect.stringContaining('main')]);
      const [prompt = ''] = await client.prompts();
      expect((await client.prompt(prompt)).length).toBeGreaterThan(20);
      expect((await client.resources()).length).toBeGreaterThan(0);
    });
  });

  it('asks a SQLite database through DBHub', async () => {
    await withClient(kind, 'dbhub', async (client) => {
      expect([...(await client.tools())].sort()).toEqual(['execute_sql', 'search_objects']);
      const found = await client.call('execute_sql', { sql: "SELECT item FROM orders WHERE item LIKE 't%'" });
      expect(found.text).toContain('tea');
      expect(found.text).not.toContain('cake');
      expect((await client.call('search_objects', { object_type: 'table' })).text).toContain('orders');
      expect((await client.call('execute_sql', { sql: 'SELECT * FROM nowhere' })).isError).toBe(true);
    });
  });
});
