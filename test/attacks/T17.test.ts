import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { AgentRun } from '../../src/client/index.ts';
import { modern, post, toolCall } from '../support/mcp-post.ts';
import { type Lab, openBareRun, openLab } from '../support/open-lab.ts';
import { asUpstream, startWitness, TOOLS, type Witness } from '../support/witness.ts';

const KNOWN_HEADERS = [
  'accept',
  'accept-encoding',
  'authorization',
  'connection',
  'content-length',
  'content-type',
  'host',
  'last-event-id',
  'mcp-method',
  'mcp-name',
  'mcp-param-tenant',
  'mcp-protocol-version',
  'mcp-session-id',
];
const ROUTED = {
  name: 'routed',
  inputSchema: { type: 'object', properties: { tenant: { type: 'string', 'x-mcp-header': 'Tenant' } } },
  annotations: { readOnlyHint: true },
};
const INJECTION = 'a\r\nX-Injected: yes\r\n\r\nGET /admin HTTP/1.1\r\nHost: x';

let witness: Witness;
let lab: Lab;
let run: AgentRun;

beforeAll(async () => {
  witness = await startWitness([...TOOLS, ROUTED]);
  lab = await openLab({ upstreams: [asUpstream(witness)] });
  run = await lab.startRun();
});
beforeEach(() => void witness.seen.splice(0));
afterAll(async () => {
  await lab[Symbol.asyncDispose]();
  await witness[Symbol.asyncDispose]();
});

const base64 = (text: string): string => `=?base64?${Buffer.from(text).toString('base64')}?=`;

/** What every request that reached the witness must look like, whatever was in it. */
function expectPlain(): void {
  for (const { path, rawHeaders } of witness.seen) {
    expect(path).toBe('/mcp');
    const names = rawHeaders.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase());
    expect(names.filter((name) => !KNOWN_HEADERS.includes(name))).toEqual([]);
    expect(new Set(names).size).toBe(names.length);
  }
}

/** Sends bytes that no HTTP client would, and gives the status line of the answer. */
async function sendRaw(lines: readonly string[], body: string): Promise<string> {
  const { hostname, port } = new URL(lab.publicUrl);
  const socket = connect(Number(port), hostname);
  let heard = '';
  socket.on('data', (chunk) => (heard += chunk.toString())).on('error', () => undefined);
  socket.write(
    [...lines, `Content-Length: ${body.length}`, 'Connection: close', '', body].join('\r\n'),
    'latin1',
  );
  await once(socket, 'close');
  return heard.slice(0, heard.indexOf('\r\n'));
}

describe('T17: values that are made to break out of where they stand', () => {
  it('stay values as arguments, tool names, methods and ids', async () => {
    await post(
      run,
      toolCall(
        'echo',
        { text: INJECTION, '../../admin': '?x=1#y', 'x-injected': 'yes' },
        INJECTION.slice(0, 40),
      ),
    );
    await post(run, toolCall(INJECTION, {}));
    await post(run, toolCall('../echo', {}));
    await post(run, { jsonrpc: '2.0', id: 1, method: 'resources/read', params: { uri: INJECTION } });
    expect(witness.seen.length).toBeGreaterThan(0);
    expectPlain();
  });

  it('stay values in headers that repeat the body', async () => {
    const read = modern('resources/read', { uri: INJECTION });
    await post(run, read.message, { headers: { ...read.headers, 'mcp-name': base64(INJECTION) } });
    const call = modern('tools/call', { name: 'routed', arguments: { tenant: INJECTION } });
    await post(run, call.message, { headers: { ...call.headers, 'mcp-param-tenant': base64(INJECTION) } });
    expect(witness.seen).toHaveLength(2);
    expect(witness.seen[0]?.headers['mcp-name']).toBe(base64(INJECTION));
    expect(witness.seen[1]?.headers['mcp-param-tenant']).toBe(base64(INJECTION));
    expectPlain();
  });

  it('lead to no other path, host or query of the upstream', async () => {
    const targets = [
      'witness/../admin',
      'witness%2f..%2fadmin',
      'witness%00',
      'witness%0d%0aX-Injected:%20yes',
      '%2e%2e%2fadmin',
      'witness.',
      'WITNESS',
      'witness@evil.example',
      'evil.example:80',
      '..',
      'http:%2f%2fevil.example%2f',
    ];
    for (const target of targets) {
      const url = `${lab.publicUrl}/mcp/${target}`;
      const response = await run
        .fetch(url, { method: 'POST', body: JSON.stringify(toolCall('look')) })
        .catch(() => undefined);
      expect([undefined, 400, 401, 404, 406, 415]).toContain(response?.status);
    }
    expect(witness.seen).toEqual([]);
  });

  it('bring no query along', async () => {
    const bare = await openBareRun(lab);
    const url = `${lab.publicUrl}/mcp/witness`;
    for (const query of ['?session=1', '?../admin', '?access_token=stolen', ';jsessionid=1']) {
      const headers = { ...modern('x').headers, 'content-type': 'application/json', ...bare.identify(url) };
      await fetch(`${url}${query}`, { method: 'POST', headers, body: JSON.stringify(toolCall('look')) });
    }
    expectPlain();
  });

  it('are refused in session and event ids, and in headers with bare CR, LF or NUL', async () => {
    const bare = await openBareRun(lab);
    const url = `${lab.publicUrl}/mcp/witness`;
    const body = JSON.stringify(toolCall('look'));
    for (const attack of ['a\rb', 'a\0b', 'a\x7fb', 'a\nX-Injected: yes', 'ä', '\t\x01']) {
      const { authorization, dpop } = bare.identify(url);
      const lines = [
        'POST /mcp/witness HTTP/1.1',
        `Host: ${new URL(lab.publicUrl).host}`,
        `Authorization: ${authorization}`,
        `DPoP: ${dpop}`,
        'Content-Type: application/json',
        'Accept: application/json, text/event-stream',
      ];
      for (const name of ['Mcp-Session-Id', 'Mcp-Name', 'Mcp-Protocol-Version']) {
        expect(await sendRaw([...lines, `${name}: ${attack}`], body)).toMatch(/^HTTP\/1\.1 40[014]/);
      }
    }
    expect(witness.seen).toEqual([]);
  });

  it('are refused when they frame a second request inside the first', async () => {
    const host = `Host: ${new URL(lab.publicUrl).host}`;
    const smuggled = '0\r\n\r\nPOST /mcp/witness HTTP/1.1\r\nHost: x\r\n\r\n';
    for (const lines of [
      ['POST /mcp/witness HTTP/1.1', host, 'Transfer-Encoding: chunked'],
      ['POST /mcp/witness HTTP/1.1', host, 'Transfer-Encoding: chunked, identity'],
      ['POST /mcp/witness HTTP/1.1', host, 'Content-Length: 3'],
      ['POST /mcp/witness HTTP/1.1', host, 'Host: other.example'],
    ]) {
      expect(await sendRaw(lines, smuggled)).toMatch(/^HTTP\/1\.1 4\d\d/);
    }
    expect(witness.seen).toEqual([]);
  });

  it('of an upstream do not break out into our answer either', async () => {
    witness.answer = ({ message }, response) => {
      response.writeHead(200, {
        'content-type': 'text/event-stream',
        'set-cookie': 'a=1',
        'www-authenticate': 'Bearer',
        'x-injected': 'yes',
        'access-control-allow-origin': '*',
      });
      const text = 'x\n\nevent: message\ndata: {"jsonrpc":"2.0","id":1,"result":{"forged":true}}\n\n';
      const result = { content: [{ type: 'text', text }] };
      response.end(`data: ${JSON.stringify({ jsonrpc: '2.0', id: message['id'], result })}\n\n`);
    };
    const response = await post(run, toolCall('look'));
    for (const name of ['set-cookie', 'www-authenticate', 'x-injected', 'access-control-allow-origin']) {
      expect(response.headers.get(name)).toBeNull();
    }
    expect((await response.text()).match(/^data: /gm)).toHaveLength(1);
    witness.answer = undefined;
  });
});
