import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AgentRun } from '../../src/client/index.ts';
import { createLogger } from '../../src/gateway/index.ts';
import { LEGACY_HEADERS, post, toolCall } from '../support/mcp-post.ts';
import { type Lab, openLab } from '../support/open-lab.ts';
import { type HttpServer, serveHttp } from '../support/serve-http.ts';
import { type Seen, sendJson, startWitness, type Witness } from '../support/witness.ts';

const CANARY = {
  token: 'canary-upstream-token',
  static: 'canary-static-secret',
  child: 'canary-child-secret',
} as const;
const SCRIPT = join(import.meta.dirname, '../support/scripted-stdio-server.ts');

let authority: HttpServer;
let [exchanged, fixed]: Witness[] = [];
let lab: Lab;
let run: AgentRun;
const operatorLog: string[] = [];
const told: string[] = [];
const state = { answer: 'good' as 'good' | 'quoting' | 'wrong' };

beforeAll(async () => {
  process.env['LAB_STATIC'] = CANARY.static;
  process.env['LAB_CHILD'] = CANARY.child;
  [exchanged, fixed] = [await startWitness(), await startWitness()];
  authority = await serveHttp((request, response) => {
    const issuer = new URL(authority.url).origin;
    if (request.url?.includes('/.well-known/')) {
      return sendJson(response, {
        issuer,
        token_endpoint: `${issuer}/token`,
        revocation_endpoint: `${issuer}/revoke`,
      });
    }
    if (request.url === '/revoke') return sendJson(response, { error: CANARY.token }, {}, 500);
    if (state.answer === 'quoting') return sendJson(response, { error: `x ${CANARY.token}` }, {}, 400);
    const type = state.answer === 'good' ? 'Bearer' : CANARY.token;
    return sendJson(response, { access_token: CANARY.token, token_type: type, expires_in: 2 });
  });
  const url = (witness: Witness | undefined) => ({ kind: 'http', url: witness?.url ?? '' });
  const issuer = new URL(authority.url).origin;
  lab = await openLab({
    upstreams: [
      {
        name: 'exchanged',
        transport: url(exchanged),
        credential: { kind: 'token-exchange', issuer, clientId: 'g' },
      },
      { name: 'fixed', transport: url(fixed), credential: { kind: 'static', secret: { env: 'LAB_STATIC' } } },
      {
        name: 'child',
        transport: { kind: 'stdio', command: process.execPath, args: [SCRIPT] },
        methods: ['test/env'],
        credential: { kind: 'static', secret: { env: 'LAB_CHILD' }, variable: 'API_KEY' },
      },
    ],
    more: { staticSecrets: true },
    log: createLogger('debug', { write: (line: string) => void operatorLog.push(line) }),
  });
  run = await lab.startRun();
});
afterAll(async () => {
  await lab[Symbol.asyncDispose]();
  await authority[Symbol.asyncDispose]();
  for (const witness of [exchanged, fixed]) await witness?.[Symbol.asyncDispose]();
  delete process.env['LAB_STATIC'];
  delete process.env['LAB_CHILD'];
});

async function say(
  upstream: string,
  message: object,
  headers: Record<string, string> = {},
): Promise<Response> {
  const answer = await post(run, message, { upstream, headers });
  told.push(`${JSON.stringify([...answer.headers])}\n${await answer.clone().text()}`);
  return answer;
}

function expectClean(place: string, text: string): void {
  for (const [name, canary] of Object.entries(CANARY)) {
    expect(text.includes(canary), `${name} in ${place}`).toBe(false);
    expect(text.includes(Buffer.from(canary).toString('base64url')), `${name} encoded in ${place}`).toBe(
      false,
    );
  }
}

describe('A22: a credential of the gateway', () => {
  it('reaches the upstream that it is for, by every way that a call can go', async () => {
    for (const [name, witness] of [
      ['exchanged', exchanged],
      ['fixed', fixed],
    ] as const) {
      if (witness === undefined) throw new Error('no witness');
      await say(name, toolCall('look'));
      await say(name, toolCall('no-such-tool'));
      witness.answer = (_: Seen, response) => void response.writeHead(401).end();
      await say(name, toolCall('look'));
      witness.answer = (_: Seen, response) => void response.destroy();
      await say(name, toolCall('look'));
      witness.answer = (_: Seen, response) =>
        void response.writeHead(200, { 'content-type': 'text/html' }).end('<p>');
      await say(name, toolCall('look'));
      witness.answer = undefined;
    }
    const sent = (witness: Witness | undefined) =>
      witness?.seen.map(({ headers }) => headers.authorization) ?? [];
    expect(new Set(sent(exchanged))).toEqual(new Set([`Bearer ${CANARY.token}`]));
    expect(new Set(sent(fixed))).toEqual(new Set([`Bearer ${CANARY.static}`]));
  });

  it('is in the environment of the child that it is for', async () => {
    const initialize = {
      jsonrpc: '2.0',
      id: 1,
      method: 'initialize',
      params: { protocolVersion: '2025-11-25' },
    };
    const opened = await say('child', initialize);
    const session = opened.headers.get('mcp-session-id') ?? '';
    const asked = await post(
      run,
      { jsonrpc: '2.0', id: 2, method: 'test/env' },
      {
        upstream: 'child',
        headers: { ...LEGACY_HEADERS, 'mcp-session-id': session },
      },
    );
    expect(await asked.text()).toContain(CANARY.child); // a server that tells its own secrets: nothing can stop it
  });

  it('does not come out where its authority refuses, quotes it, or answers oddly', async () => {
    for (const answer of ['quoting', 'wrong'] as const) {
      state.answer = answer;
      await new Promise((resolve) => setTimeout(resolve, 1100)); // half the life of the token that is held
      expect((await say('exchanged', toolCall('look'))).status).toBe(502);
    }
    state.answer = 'good';
    const other = await lab.startRun();
    await post(other, toolCall('look'), { upstream: 'exchanged' });
    await other.end(); // its token cannot be revoked: the authority says so with the token in its answer
  });

  it('is in no answer, error or receipt', () => {
    expect(told.length).toBeGreaterThan(8);
    expectClean('an answer', told.join('\n'));
  });

  it('is in no line of the operator’s log, at its most talkative', async () => {
    await new Promise((resolve) => setTimeout(resolve, 1500)); // the revocation is tried three times
    expect(operatorLog.join('')).toContain('did not let go');
    expectClean('the log', operatorLog.join(''));
  });

  it('is in no file of the data folder, records and keys included', () => {
    let files = 0;
    for (const file of readdirSync(lab.data, { recursive: true, encoding: 'utf8' })) {
      const path = join(lab.data, file);
      if (!statSync(path).isFile()) continue;
      files++;
      expectClean(file, readFileSync(path, 'latin1'));
    }
    expect(files).toBeGreaterThan(4);
  });

  it('is not told by the admin plane', async () => {
    for (const path of ['/v1/status', '/v1/runs', '/v1/keys', '/v1/tools']) {
      expectClean(path, await (await lab.admin(path)).text());
    }
  });

  it('is not in the configuration, which refuses to hold one', () => {
    expectClean('the configuration', JSON.stringify(lab.config));
  });
});
