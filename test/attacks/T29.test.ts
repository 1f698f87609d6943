import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLogger } from '../../src/gateway/index.ts';
import { LEGACY_HEADERS, toolCall } from '../support/mcp-post.ts';
import { type BareRun, type Lab, openBareRun, openLab } from '../support/open-lab.ts';
import { readRecords } from '../support/open-ops-gateway.ts';
import { asUpstream, echo, startWitness, type Witness } from '../support/witness.ts';

const SCRIPT = join(import.meta.dirname, '../support/scripted-stdio-server.ts');
const ENV_SECRET = 'sk-of-the-gateway-process';
const CHILD_SECRET = 'sk-for-one-child';

let witness: Witness;
let lab: Lab;
let run: BareRun;
const operatorLog: string[] = [];
/** Every secret that exists in this lab, by what it is. */
const secrets = new Map<string, string>();
/** Everything that agents were told. */
const told: string[] = [];

beforeAll(async () => {
  process.env['LAB_API_KEY'] = ENV_SECRET;
  witness = await startWitness();
  const transport = {
    kind: 'stdio',
    command: process.execPath,
    args: [SCRIPT],
    env: { CHILD_KEY: CHILD_SECRET },
  };
  lab = await openLab({
    upstreams: [
      asUpstream(witness),
      { name: 'child', transport, methods: ['test/env', 'test/stderr', 'test/raw'] },
    ],
    log: createLogger('debug', { write: (line: string) => void operatorLog.push(line) }),
  });
  run = await openBareRun(lab);
  secrets
    .set('run token', run.token)
    .set('agent key', String(run.key.privateKey.export({ format: 'jwk' }).d));
  secrets.set('environment', ENV_SECRET);
  const keys = readdirSync(join(lab.data, 'keys'), { recursive: true, encoding: 'utf8' });
  for (const file of keys.filter((name) => statSync(join(lab.data, 'keys', name)).isFile())) {
    const text = readFileSync(join(lab.data, 'keys', file), 'utf8');
    for (const [, d] of text.matchAll(/"d"\s*:\s*"([^"]+)"/g)) secrets.set(`private key in ${file}`, d ?? '');
  }
});
afterAll(async () => {
  delete process.env['LAB_API_KEY'];
  await lab[Symbol.asyncDispose]();
  await witness[Symbol.asyncDispose]();
});

async function say(
  message: object | string,
  upstream = 'witness',
  more: Record<string, string> = {},
): Promise<string> {
  const url = `${lab.publicUrl}/mcp/${upstream}`;
  const identity = run.identify(url);
  secrets.set(`proof ${secrets.size}`, identity.dpop);
  const body = typeof message === 'string' ? message : JSON.stringify(message);
  const response = await fetch(url, {
    method: 'POST',
    headers: { ...LEGACY_HEADERS, ...identity, ...more },
    body,
  });
  const text = `${JSON.stringify([...response.headers])}\n${await response.text()}`;
  told.push(text);
  return text;
}

function expectClean(place: string, text: string): void {
  expect(secrets.size).toBeGreaterThan(8);
  for (const [name, secret] of secrets) expect(text.includes(secret), `${name} in ${place}`).toBe(false);
}

describe('T29: a secret', () => {
  it('meets every way a call can go', async () => {
    await say(toolCall('look'));
    await say(toolCall('no-such-tool', { text: run.token.slice(0, 20) }));
    await say('{"jsonrpc":');
    await say({ jsonrpc: '2.0', id: 1, method: 'tools/list' });
    await say(toolCall('look'), 'nowhere');
    await say(toolCall('look'), 'witness', { cookie: 'session=sk-cookie', 'x-api-key': 'sk-header' });
    await say(toolCall('look'), 'witness', { dpop: 'not a proof' });
    await say(toolCall('look'), 'witness', { authorization: `Bearer ${run.token}` });
    witness.answer = (_, response) => void response.writeHead(401).end();
    await say(toolCall('look'));
    witness.answer = (_, response) => void response.destroy();
    await say(toolCall('look'));
    witness.answer = undefined;
    for (const { headers } of witness.seen)
      secrets.set(`call token ${secrets.size}`, headers.authorization?.slice(7) ?? '');
    expect(witness.seen.length).toBeGreaterThan(3);
  });

  it('of the agent never reaches the upstream, and each call brings a credential of its own', () => {
    const inbound = [...secrets].filter(([name]) => /^(run token|agent key|proof)/.test(name));
    for (const { rawHeaders, body } of witness.seen) {
      const text = `${rawHeaders.join('\n')}\n${body}`;
      for (const [name, secret] of inbound) expect(text.includes(secret), name).toBe(false);
      expect(text).not.toMatch(/sk-cookie|sk-header|dpop/i);
    }
    const credentials = witness.seen.map(({ headers }) => headers.authorization);
    expect(new Set(credentials).size).toBe(credentials.length);
  });

  it('is in no answer, error or receipt', () => expectClean('an answer', told.join('\n')));

  it('is in no line of the operator’s log, at its most talkative', () => {
    expect(operatorLog.length).toBeGreaterThan(0);
    expectClean('the log', operatorLog.join(''));
  });

  it('is in no record of the intent log and in no other file but the keys', () => {
    for (const file of readdirSync(lab.data, { recursive: true, encoding: 'utf8' })) {
      const path = join(lab.data, file);
      if (file.startsWith('keys') || !statSync(path).isFile()) continue;
      expectClean(file, readFileSync(path, 'latin1'));
    }
  });

  it('that is a key lies in a file that only its owner reads', () => {
    expect(statSync(join(lab.data, 'keys')).mode & 0o077).toBe(0);
    for (const file of readdirSync(join(lab.data, 'keys'), { encoding: 'utf8' })) {
      expect(statSync(join(lab.data, 'keys', file)).mode & 0o077, file).toBe(0);
    }
  });

  it('of the gateway is not in the environment of a child, which gets what it was configured', async () => {
    const initialize = {
      jsonrpc: '2.0',
      id: 1,
      method: 'initialize',
      params: { protocolVersion: '2025-11-25' },
    };
    const session = /"mcp-session-id","([^"]+)"/.exec(await say(initialize, 'child'))?.[1] ?? '';
    const text = await say({ jsonrpc: '2.0', id: 2, method: 'test/env' }, 'child', {
      'mcp-session-id': session,
    });
    const body = JSON.parse(text.slice(text.indexOf('{"'))) as { result: { env: Record<string, string> } };
    expect(Object.keys(body.result.env).sort()).toEqual(['CHILD_KEY', 'HOME', 'PATH']);
    expect(body.result.env['CHILD_KEY']).toBe(CHILD_SECRET);
    expectClean('the environment of a child', JSON.stringify(body.result.env));
  });

  it('that a child prints is in no line of the operator’s log and in no record', async () => {
    const initialize = {
      jsonrpc: '2.0',
      id: 1,
      method: 'initialize',
      params: { protocolVersion: '2025-11-25' },
    };
    const session = /"mcp-session-id","([^"]+)"/.exec(await say(initialize, 'child'))?.[1] ?? '';
    const headers = { 'mcp-session-id': session };
    const before = operatorLog.length;
    const base64 = Buffer.from(CHILD_SECRET).toString('base64');
    const text = `key is ${CHILD_SECRET}, or ${base64}\n${'x'.repeat(1012)}${CHILD_SECRET}\n`;
    await say({ jsonrpc: '2.0', id: 3, method: 'test/stderr', params: { text } }, 'child', headers);
    const raw = `{"jsonrpc":"2.0","id":$id,"${CHILD_SECRET}":1,"${CHILD_SECRET}":2}\n`;
    await say({ jsonrpc: '2.0', id: 4, method: 'test/raw', params: { text: raw } }, 'child', headers);
    const log = operatorLog.slice(before).join('');
    expect(log).toContain('stdio server wrote to stderr');
    expect(log).toContain('stdio server wrote a line that is not MCP');
    expect(log).toContain('[redacted]');
    for (const part of [CHILD_SECRET, base64, CHILD_SECRET.slice(0, 8)]) expect(log).not.toContain(part);
    const records = JSON.stringify(readRecords(lab.data));
    expect(records).toContain('duplicate_key');
    expect(records).not.toContain(CHILD_SECRET);
  });

  it('is not told by the admin plane either', async () => {
    for (const path of ['/v1/status', '/v1/runs']) expectClean(path, await (await lab.admin(path)).text());
  });

  it('is given to an upstream that echoes it: its own credential comes back only if it says so', async () => {
    witness.answer = echo;
    expectClean('an echo', await say(toolCall('echo', { text: 'hello' })));
  });
});
