import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AgentRun } from '../../src/client/index.ts';
import { answerIn, messagesIn, post, toolCall } from '../support/mcp-post.ts';
import { type Lab, openBareRun, openLab } from '../support/open-lab.ts';
import { asUpstream, startWitness, type Witness } from '../support/witness.ts';

const BODY_BYTES = 65_536;
const RESULT_BYTES = 262_144;

let witness: Witness;
let lab: Lab;
let run: AgentRun;

beforeAll(async () => {
  witness = await startWitness();
  const limits = { bodyBytes: BODY_BYTES, resultBytes: RESULT_BYTES, requestSeconds: 1 };
  lab = await openLab({ upstreams: [asUpstream(witness)], limits });
  run = await lab.startRun();
});
afterAll(async () => {
  await lab[Symbol.asyncDispose]();
  await witness[Symbol.asyncDispose]();
});

/** Says something over a raw connection, a piece at a time, and gives what came back until it was closed. */
async function dribble(pieces: readonly string[], pauseMs: number): Promise<string> {
  const { hostname, port } = new URL(lab.publicUrl);
  const socket = connect(Number(port), hostname);
  let heard = '';
  socket.on('data', (chunk) => (heard += chunk.toString())).on('error', () => undefined);
  const closed = once(socket, 'close');
  for (const piece of pieces) {
    if (socket.destroyed) break;
    socket.write(piece);
    await sleep(pauseMs);
  }
  await closed;
  return heard;
}

/** Waits until the other side has read, or is gone. */
function room(response: ServerResponse): Promise<unknown> {
  const over = new AbortController();
  const { signal } = over;
  const either = [once(response, 'drain', { signal }), once(response, 'close', { signal })];
  return Promise.race(either).finally(() => {
    for (const one of either) one.catch(() => undefined);
    over.abort();
  });
}

const head = (lines: readonly string[]): string =>
  ['POST /mcp/witness HTTP/1.1', `Host: ${new URL(lab.publicUrl).host}`, ...lines, '', ''].join('\r\n');

describe('T16: too much, too slow, without end', () => {
  it('refuses a body beyond the limit, announced or not, before it is read whole', async () => {
    const large = JSON.stringify(toolCall('echo', { text: 'x'.repeat(BODY_BYTES) }));
    expect((await post(run, large)).status).toBe(413);
    const { authorization, dpop } = (await openBareRun(lab)).identify(`${lab.publicUrl}/mcp/witness`);
    const identity = [`Authorization: ${authorization}`, `DPoP: ${dpop}`];
    const unannounced = [
      head([...identity, 'Content-Type: application/json', 'Transfer-Encoding: chunked']),
      ...Array.from({ length: 8 }, () => `4000\r\n${' '.repeat(16_384)}\r\n`),
    ];
    expect(await dribble(unannounced, 20)).toMatch(/^HTTP\/1\.1 413/);
    expect(witness.seen).toEqual([]);
  });

  it('hangs up on a body and on headers that come too slowly', { timeout: 15_000 }, async () => {
    const slowBody = [head(['Content-Type: application/json', 'Content-Length: 500']), ...'{"json'.split('')];
    const slowHead = [...head([]).slice(0, 6).split('')];
    const startedAt = performance.now();
    const heard = await Promise.all([dribble(slowBody, 300), dribble(slowHead, 300)]);
    expect(performance.now() - startedAt).toBeLessThan(10_000);
    for (const text of heard) expect(text).toMatch(/^(?:HTTP\/1\.1 4\d\d|$)/);
    expect(witness.seen).toEqual([]);
  });

  it('passes on no result beyond the limit, in JSON or in a stream', async () => {
    const text = 'y'.repeat(RESULT_BYTES + 1);
    for (const isStream of [false, true]) {
      witness.answer = ({ message }, response) => {
        const body = JSON.stringify({ jsonrpc: '2.0', id: message['id'], result: { text } });
        response.writeHead(200, { 'content-type': isStream ? 'text/event-stream' : 'application/json' });
        response.end(isStream ? `data: ${body}\n\n` : body);
      };
      expect((await answerIn(await post(run, toolCall('look')))).error?.code).toBe(502);
    }
  });

  it('gives up on a line of an event stream that never ends', async () => {
    let sent = 0;
    witness.answer = async (_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: "');
      while (!response.destroyed && sent < 100 * RESULT_BYTES) {
        sent += 65_536;
        if (!response.write('z'.repeat(65_536))) await room(response);
      }
    };
    const messages = await messagesIn(await post(run, toolCall('look')));
    expect(messages.at(-1)?.error?.code).toBe(502);
    expect(sent).toBeLessThan(50 * RESULT_BYTES);
  });

  it('does not take in what an agent does not read, and lets go when it leaves', {
    timeout: 15_000,
  }, async () => {
    let sent = 0;
    let isCut = false;
    witness.answer = async (_, response) => {
      response.once('close', () => (isCut = true));
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const event = `data: {"jsonrpc":"2.0","method":"notifications/message","params":{"data":"${'n'.repeat(60_000)}"}}\n\n`;
      while (!response.destroyed && sent < 500_000_000) {
        sent += event.length;
        if (!response.write(event)) await room(response);
      }
    };
    const leaving = new AbortController();
    const response = await post(run, toolCall('look'), { signal: leaving.signal });
    expect(response.status).toBe(200);
    let before = -1;
    for (let i = 0; i < 40 && sent !== before; i++) {
      before = sent;
      await sleep(250);
    }
    expect(sent).toBe(before);
    expect(sent).toBeLessThan(50_000_000);
    leaving.abort();
    await expect.poll(() => isCut, { timeout: 5000 }).toBe(true);
  });

  it('still serves the next call', async () => {
    witness.answer = undefined;
    expect((await post(run, toolCall('look'))).status).toBe(200);
  });
});
