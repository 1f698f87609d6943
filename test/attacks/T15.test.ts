import type { ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AgentRun } from '../../src/client/index.ts';
import { modern, post } from '../support/mcp-post.ts';
import { type Lab, openLab } from '../support/open-lab.ts';
import { asUpstream, startWitness, TOOLS, type Witness } from '../support/witness.ts';

const POLICIES = `
@id("reading")
permit (principal, action in Sallyport::Action::"readOnly", resource);
@id("lists")
permit (principal, action in Sallyport::Action::"list", resource);
`;

let witness: Witness;
let lab: Lab;
let run: AgentRun;

beforeAll(async () => {
  witness = await startWitness();
  lab = await openLab({ upstreams: [asUpstream(witness)], policies: POLICIES });
  run = await lab.startRun();
});
afterAll(async () => {
  await lab[Symbol.asyncDispose]();
  await witness[Symbol.asyncDispose]();
});

type Spelling = (list: string, response: ServerResponse) => void;

const LIST = { jsonrpc: '2.0', id: 1, result: { tools: TOOLS } };
const stream =
  (text: string, type = 'text/event-stream'): Spelling =>
  (list, response) => {
    response.writeHead(200, { 'content-type': type }).end(text.replace('$list', list));
  };
const json =
  (type: string, status = 200): Spelling =>
  (list, response) => {
    response.writeHead(status, { 'content-type': type }).end(list);
  };
const chopped: Spelling = (list, response) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  for (const byte of Buffer.from(`data: ${list}\n\n`)) response.write(Buffer.of(byte));
  response.end();
};

async function listThrough(spelling: Spelling, isModern = false): Promise<string> {
  witness.answer = ({ message }, response) => {
    spelling(JSON.stringify({ ...LIST, id: message['id'] }), response);
  };
  const call = modern('tools/list');
  const response = isModern
    ? await post(run, call.message, { headers: call.headers })
    : await post(run, { jsonrpc: '2.0', id: 1, method: 'tools/list' });
  return response.text();
}

describe('T15: a list with a tool that the run may not see', () => {
  const filtered: [string, Spelling][] = [
    ['as plain JSON', json('application/json')],
    ['as JSON in another case', json('Application/JSON; Charset=UTF-8')],
    ['with status 201', json('application/json', 201)],
    ['with status 206', json('application/json', 206)],
    ['as an event stream', stream('data: $list\n\n')],
    ['as an event stream in another case', stream('data: $list\n\n', 'TEXT/Event-Stream; charset=utf-8')],
    ['with CR as line end', stream('data: $list\r\r')],
    ['with CRLF as line end', stream('event: message\r\ndata: $list\r\n\r\n')],
    ['behind a byte order mark', stream('\ufeffdata: $list\n\n')],
    ['behind a comment and an id', stream(': hi\nid: 1\nretry: 5\ndata:$list\n\n')],
    ['byte by byte', chopped],
    [
      'over several data lines',
      (list, response) => stream(`data: ${list.replaceAll(',{', ',\ndata: {')}\n\n`)('', response),
    ],
    ['twice in one stream', (list, response) => stream(`data: ${list}\n\ndata: ${list}\n\n`)('', response)],
  ];
  it.each(filtered)('is filtered: %s', async (_, spelling) => {
    for (const isModern of [false, true]) {
      const text = await listThrough(spelling, isModern);
      expect(text).toContain('"look"');
      expect(text).not.toContain('wipe');
    }
  });

  const withheld: [string, Spelling][] = [
    ['as text', json('text/plain')],
    ['without a media type', (list, response) => void response.writeHead(200).end(list)],
    ['as JSON by another name', json('application/vnd.api+json')],
    [
      'compressed',
      (list, response) => {
        response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' });
        response.end(gzipSync(list));
      },
    ],
    [
      'in UTF-16',
      (list, response) =>
        json('application/json; charset=utf-16')(Buffer.from(list, 'utf16le').toString('latin1'), response),
    ],
    ['behind a redirect', (_, response) => void response.writeHead(302, { location: witness.url }).end()],
    ['in a batch', (list, response) => json('application/json')(`[${list}]`, response)],
    [
      'under a duplicate key',
      (list, response) => json('application/json')(list.replace('{"tools"', '{"tools":[],"tools"'), response),
    ],
    [
      'without a result that is an object',
      (_, response) => json('application/json')(JSON.stringify({ ...LIST, result: TOOLS }), response),
    ],
    [
      'under another key of the same letters',
      (list, response) => json('application/json')(list.replace('"tools"', '"Tools"'), response),
    ],
    ['as a stream event of another type', stream('event: list\ndata: $list\n\n')],
    ['as an error', (_, response) => json('application/json', 500)('', response)],
    ['in an event that is not finished', stream('data: $list\n')],
  ];
  it.each(withheld)('is withheld when it cannot be filtered: %s', async (_, spelling) => {
    const text = await listThrough(spelling);
    expect(text).not.toContain('wipe');
    expect(text).not.toContain('destroys');
  });
});
