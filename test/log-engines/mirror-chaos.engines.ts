import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { expect, it } from 'vitest';
import { freePort } from '../../examples/upstreams/everything.ts';
import { leafHash } from '../../src/intent-log/index.ts';
import { openLogReader } from '../../src/storage/index.ts';
import { startPostgresServer } from '../support/postgres-server.ts';
import { seeded } from '../support/seeded.ts';

const ROUNDS = Number(process.env['MIRROR_ROUNDS'] ?? 20);
const SEED = Number(process.env['MIRROR_SEED'] ?? 20_261_122);
const ORIGIN = 'agents.example.org/log';
const TOKEN = 'token-of-the-mirror';
const root = join(import.meta.dirname, '../..');

type Process = {
  readonly kill: () => Promise<void>;
  readonly child: ChildProcess;
  readonly said: () => string;
};

/** Starts a program of ours; resolves when it has said a word. */
async function start(script: string, args: readonly string[], word: string): Promise<Process> {
  const child = spawn(process.execPath, ['--conditions=sallyport-source', join(root, script), ...args], {
    env: { ...process.env, MIRROR_TOKEN: TOKEN },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
  for (let waited = 0; !text.includes(word); waited += 20) {
    if (child.exitCode !== null || waited > 60_000) throw new Error(`${script} did not start: ${text}`);
    await sleep(20);
  }
  const kill = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  };
  return { kill, child, said: () => text };
}

it(`loses and doubles no record when mirror, gateway and PostgreSQL are killed (${ROUNDS} kills, seed ${SEED})`, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-mirror-'));
  const data = join(folder, 'data');
  const port = String(await freePort());
  await using server = await startPostgresServer('on');
  const { below, pick } = seeded(SEED);
  const startGateway = () => start('test/support/log-gateway-process.ts', [data, port, TOKEN], 'serving');
  let gateway = await startGateway();
  const configFile = join(folder, 'mirror.json');
  const verifierKey = readFileSync(join(data, 'log-public-key'), 'utf8').trim();
  writeFileSync(
    configFile,
    JSON.stringify({
      origins: [
        {
          origin: ORIGIN,
          keys: [verifierKey],
          url: `http://127.0.0.1:${port}`,
          access: { kind: 'bearer', token: { env: 'MIRROR_TOKEN' } },
        },
      ],
      postgres: { url: `postgres://postgres@127.0.0.1:${server.port}/postgres` },
      pollMillis: 50,
    }),
  );
  const startMirror = () => start('src/cli/main.ts', ['mirror', '-c', configFile], 'mirroring');
  let mirror = await startMirror();
  const kills = { mirror: 0, gateway: 0, postgres: 0 };
  try {
    for (let round = 0; round < ROUNDS; round++) {
      await sleep(100 + below(900));
      const victim = pick(['mirror', 'gateway', 'postgres'] as const);
      kills[victim]++;
      if (victim === 'mirror') {
        await mirror.kill();
        mirror = await startMirror();
      } else if (victim === 'gateway') {
        await gateway.kill();
        gateway = await startGateway();
      } else {
        await server.kill();
        await sleep(below(300));
        await server.restart();
      }
    }
    gateway.child.kill('SIGUSR2');
    const stored = await storedWhenQuiet(gateway, data, server.url);
    using reader = openLogReader(data);
    const written = [...reader.records(0)].map(({ idx, bytes }) => `${idx} ${leafHash(bytes)}`);
    const missing = written.filter((each) => !stored.includes(each)).length;
    process.stdout.write(
      `${written.length} records at the gateway, ${stored.length} in the mirror, ${missing} lost, ` +
        `${stored.length - new Set(stored).size} doubled; kills ${JSON.stringify(kills)}\n`,
    );
    expect(mirror.said()).not.toContain('alarm');
    expect(written.length).toBeGreaterThan(1000);
    expect(stored).toEqual(written);
  } finally {
    await mirror.kill();
    await gateway.kill();
    rmSync(folder, { recursive: true, force: true });
  }
}, 600_000);

/** Index and leaf hash of each record in PostgreSQL, once the mirror has all that the gateway wrote. */
async function storedWhenQuiet(gateway: Process, data: string, url: string): Promise<string[]> {
  for (let waited = 0; !gateway.said().includes('quiet') && waited < 10_000; waited += 50) await sleep(50);
  await sleep(500); // the last checkpoint, and an epoch record before it
  using reader = openLogReader(data);
  for (let waited = 0; waited < 120_000; waited += 250) {
    const rows = await ask(url, 'SELECT count(*) AS n FROM sallyport.records').catch(() => []);
    if (Number(rows[0]?.['n'] ?? -1) >= reader.end()) break;
    await sleep(250);
  }
  const rows = await ask(url, 'SELECT idx, bytes FROM sallyport.records ORDER BY idx');
  return rows.map(({ idx, bytes }) => `${String(idx)} ${leafHash(bytes as Buffer)}`);
}

/** A session for each question: the server may have been killed a moment ago. */
async function ask(url: string, statement: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query(statement)).rows as Record<string, unknown>[];
  } finally {
    await client.end();
  }
}
