import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isJsonObject, type JsonValue } from '../../../src/base/index.ts';
import {
  type AdmissionRules,
  type AdmitReason,
  admitRefusalToWire,
  admitRequest,
  type Headers,
} from '../../../src/gateway/mcp/index.ts';

const RULES: AdmissionRules = {
  allowedHosts: ['localhost:8474', '127.0.0.1', '[::1]'],
  allowedOrigins: ['http://app.example'],
  limits: { bodyBytes: 2000 },
};
const POST: Headers = {
  host: 'localhost:8474',
  'content-type': 'application/json',
  accept: 'application/json, text/event-stream',
};
const LIST = { jsonrpc: '2.0', id: 1, method: 'tools/list' };
const META = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
};
const MODERN_HEADERS = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'a' };
const MODERN = {
  jsonrpc: '2.0',
  id: 1,
  method: 'tools/call',
  params: { name: 'a', arguments: {}, _meta: META },
};

function admit(body: unknown, headers: Headers = {}, method = 'POST') {
  const bytes =
    typeof body === 'string'
      ? Buffer.from(body)
      : body instanceof Buffer
        ? body
        : Buffer.from(JSON.stringify(body));
  return admitRequest({ method, headers: { ...POST, ...headers }, body: bytes }, RULES);
}

function reasonFor(...args: Parameters<typeof admit>): AdmitReason | 'admitted' {
  const admitted = admit(...args);
  return admitted.ok ? 'admitted' : admitted.error.reason;
}

describe('admitting a message', () => {
  it('admits a request, a notification and a response for what they are', () => {
    expect(admit({ ...LIST, params: { cursor: 'x' } })).toEqual({
      ok: true,
      value: {
        leg: 'POST',
        kind: 'request',
        era: 'legacy',
        id: 1,
        method: 'tools/list',
        params: { cursor: 'x' },
        message: { ...LIST, params: { cursor: 'x' } },
        mcpHeaders: {},
      },
    });
    expect(admit({ jsonrpc: '2.0', method: 'notifications/initialized' })).toMatchObject({
      value: { kind: 'notification' },
    });
    expect(admit({ jsonrpc: '2.0', id: 'q', result: {} })).toMatchObject({
      value: { kind: 'response', id: 'q' },
    });
    expect(admit({ jsonrpc: '2.0', id: 'q', error: { code: 1, message: 'x' } })).toMatchObject({
      value: { kind: 'response' },
    });
  });

  const refused: [AdmitReason, string, string][] = [
    ['batch', 'a batch', `[${JSON.stringify(LIST)}]`],
    ['batch', 'a batch of two calls', `[${JSON.stringify(LIST)},${JSON.stringify(LIST)}]`],
    ['batch', 'an empty batch', '[]'],
    ['not_json', 'a byte order mark', `\ufeff${JSON.stringify(LIST)}`],
    ['not_json', 'half a message', '{"jsonrpc":"2.0"'],
    ['not_json', 'two messages', `${JSON.stringify(LIST)}\n${JSON.stringify(LIST)}`],
    ['not_json', 'a comment', '{"jsonrpc":"2.0","id":1,/**/"method":"ping"}'],
    ['not_json_rpc', 'a number', '1'],
    ['not_json_rpc', 'null', 'null'],
    ['not_json_rpc', 'no version', '{"id":1,"method":"ping"}'],
    ['not_json_rpc', 'another version', '{"jsonrpc":2.0,"id":1,"method":"ping"}'],
    ['not_json_rpc', 'neither method nor result', '{"jsonrpc":"2.0","id":1}'],
    ['not_json_rpc', 'a method that is no string', '{"jsonrpc":"2.0","id":1,"method":["ping"]}'],
    [
      'not_json_rpc',
      'a method of null beside a result',
      '{"jsonrpc":"2.0","id":1,"method":null,"result":{}}',
    ],
    ['not_json_rpc', 'an empty method', '{"jsonrpc":"2.0","id":1,"method":""}'],
    ['not_json_rpc', 'a method with a line break', '{"jsonrpc":"2.0","id":1,"method":"tools/call\\n"}'],
    ['not_json_rpc', 'a method and a result', '{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}'],
    ['not_json_rpc', 'a result and an error', '{"jsonrpc":"2.0","id":1,"result":{},"error":{}}'],
    ['not_json_rpc', 'a result that is a list', '{"jsonrpc":"2.0","id":1,"result":[]}'],
    ['not_json_rpc', 'params by position', '{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}'],
    ['bad_id', 'an id of null', '{"jsonrpc":"2.0","id":null,"method":"ping"}'],
    ['bad_id', 'a fraction as id', '{"jsonrpc":"2.0","id":1.5,"method":"ping"}'],
    ['bad_id', 'an object as id', '{"jsonrpc":"2.0","id":{},"method":"ping"}'],
    ['bad_id', 'an endless id', `{"jsonrpc":"2.0","id":"${'x'.repeat(300)}","method":"ping"}`],
    ['bad_id', 'a response without an id', '{"jsonrpc":"2.0","result":{}}'],
    [
      'ambiguous_json',
      'a duplicate method',
      '{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}',
    ],
    [
      'ambiguous_json',
      'a duplicate in disguise',
      '{"jsonrpc":"2.0","id":1,"method":"ping","m\\u0065thod":"tools/call"}',
    ],
    [
      'ambiguous_json',
      'a duplicate argument',
      '{"jsonrpc":"2.0","id":1,"method":"x","params":{"arguments":{"a":1,"a":2}}}',
    ],
    [
      'ambiguous_json',
      'an integer beyond 2^53',
      '{"jsonrpc":"2.0","id":1,"method":"x","params":{"n":9007199254740993}}',
    ],
    [
      'ambiguous_json',
      'half a surrogate pair',
      '{"jsonrpc":"2.0","id":1,"method":"x","params":{"t":"\\ud800"}}',
    ],
    ['ambiguous_json', '__proto__', '{"jsonrpc":"2.0","id":1,"method":"x","params":{"__proto__":{}}}'],
    [
      'ambiguous_json',
      'endless nesting',
      `{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":${'['.repeat(200)}${']'.repeat(200)}}}`,
    ],
    ['ambiguous_key', 'Method for method', '{"jsonrpc":"2.0","id":1,"Method":"tools/call"}'],
    [
      'ambiguous_key',
      'METHOD beside method',
      '{"jsonrpc":"2.0","id":1,"method":"ping","METHOD":"tools/call"}',
    ],
    ['ambiguous_key', 'Params for params', '{"jsonrpc":"2.0","id":1,"method":"ping","Params":{}}'],
    ['unknown_key', 'a member of its own', '{"jsonrpc":"2.0","id":1,"method":"ping","extra":1}'],
    [
      'ambiguous_key',
      'Name for name',
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"Name":"b"}}',
    ],
    [
      'ambiguous_key',
      'Name beside name',
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","Name":"b"}}',
    ],
    [
      'ambiguous_key',
      'ARGUMENTS',
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","ARGUMENTS":{}}}',
    ],
    [
      'ambiguous_key',
      'a long s in arguments',
      '{"jsonrpc":"2.0","id":1,"method":"x","params":{"argument\\u017f":{}}}',
    ],
    [
      'ambiguous_key',
      'a Kelvin sign in taskId',
      '{"jsonrpc":"2.0","id":1,"method":"x","params":{"tas\\u212aId":"1"}}',
    ],
    ['ambiguous_key', 'URI', '{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"URI":"x:"}}'],
    ['ambiguous_key', '_Meta', '{"jsonrpc":"2.0","id":1,"method":"x","params":{"_Meta":{}}}'],
    ['ambiguous_key', 'Cursor', '{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"Cursor":"1"}}'],
    [
      'ambiguous_key',
      'ProgressToken',
      '{"jsonrpc":"2.0","id":1,"method":"x","params":{"_meta":{"ProgressToken":1}}}',
    ],
    [
      'ambiguous_key',
      'two arguments that differ in case',
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"path":"/a","Path":"/b"}}}',
    ],
  ];

  it.each(refused)('refuses as %s: %s', (reason, _, body) => {
    expect(reasonFor(body)).toBe(reason);
  });

  it('refuses bytes that are not UTF-8, no body, and a body beyond the limit', () => {
    expect(
      reasonFor(
        Buffer.concat([Buffer.from('{"jsonrpc":"2.0","id":"'), Buffer.of(0xc3, 0x28), Buffer.from('"}')]),
      ),
    ).toBe('not_utf8');
    expect(reasonFor(Buffer.from(JSON.stringify(LIST), 'utf16le'))).not.toBe('admitted');
    expect(reasonFor('')).toBe('not_json');
    expect(reasonFor({ ...LIST, params: { cursor: 'x'.repeat(2000) } })).toBe('body_too_large');
    expect(admitRequest({ method: 'POST', headers: POST, body: undefined }, RULES)).toMatchObject({
      error: { reason: 'not_json' },
    });
  });

  it('leaves arguments free to have any single key', () => {
    expect(reasonFor({ ...MODERN, params: { name: 'a', arguments: { Name: 1, URI: 2, _META: 3 } } })).toBe(
      'admitted',
    );
  });

  it('admits exactly what it was sent', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 })), (args) => {
        const message = { ...LIST, params: { arguments: args } };
        const admitted = admit(JSON.stringify(message));
        if (admitted.ok && admitted.value.leg === 'POST') {
          expect(JSON.stringify(admitted.value.message)).toBe(JSON.stringify(message));
        }
      }),
    );
  });

  it('never throws, whatever the body', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 300 }),
          fc.json().map((text) => Buffer.from(text)),
        ),
        (bytes) => {
          expect(['boolean']).toContain(typeof admit(Buffer.from(bytes)).ok);
        },
      ),
    );
  });

  it('names the request in its refusal where it can', () => {
    expect(admit('{"jsonrpc":"2.0","id":"r","method":"ping","extra":1}')).toMatchObject({
      error: { id: 'r' },
    });
    expect(admit({ ...MODERN, id: 5 }, { ...MODERN_HEADERS, 'mcp-name': 'b' })).toMatchObject({
      error: { id: 5 },
    });
    expect(admit('[]')).not.toHaveProperty('error.id');
  });
});

describe('admitting by HTTP headers', () => {
  it.each([
    ['localhost:8474', 'admitted'],
    ['LOCALHOST:8474', 'admitted'],
    ['127.0.0.1:9999', 'admitted'],
    ['[::1]:1', 'admitted'],
    ['localhost:8475', 'host_not_allowed'],
    ['localhost', 'host_not_allowed'],
    ['localhost.:8474', 'host_not_allowed'],
    ['127.0.0.1.evil.example', 'host_not_allowed'],
    ['evil.example', 'host_not_allowed'],
    ['evil.example:8474', 'host_not_allowed'],
    ['127.0.0.1@evil.example', 'host_not_allowed'],
    ['', 'host_not_allowed'],
    [undefined, 'host_not_allowed'],
  ])('finds a Host of %s %s', (host, expected) => {
    expect(reasonFor(LIST, { host })).toBe(expected);
  });

  it.each([
    [undefined, 'admitted'],
    ['http://app.example', 'admitted'],
    ['http://app.example:81', 'origin_not_allowed'],
    ['https://app.example', 'origin_not_allowed'],
    ['http://localhost:8474', 'origin_not_allowed'],
    ['http://app.example.evil.example', 'origin_not_allowed'],
    ['null', 'origin_not_allowed'],
    ['', 'origin_not_allowed'],
  ])('finds an Origin of %s %s', (origin, expected) => {
    expect(reasonFor(LIST, { origin })).toBe(expected);
  });

  it.each([
    ['application/json', 'admitted'],
    ['Application/JSON', 'admitted'],
    ['application/json; charset=utf-8', 'admitted'],
    ['application/json;charset="UTF-8"', 'admitted'],
    ['application/json; charset=utf-16', 'unsupported_media_type'],
    ['application/json; boundary=x', 'unsupported_media_type'],
    ['application/jsonx', 'unsupported_media_type'],
    ['text/plain', 'unsupported_media_type'],
    ['text/plain; application/json', 'unsupported_media_type'],
    ['application/x-www-form-urlencoded', 'unsupported_media_type'],
    [undefined, 'unsupported_media_type'],
  ])('finds a Content-Type of %s %s', (type, expected) => {
    expect(reasonFor(LIST, { 'content-type': type })).toBe(expected);
  });

  it('refuses compressed bodies', () => {
    expect(reasonFor(LIST, { 'content-encoding': 'gzip' })).toBe('unsupported_media_type');
  });

  it.each([
    ['application/json, text/event-stream', 'admitted'],
    ['text/event-stream,APPLICATION/JSON;q=0.9', 'admitted'],
    ['*/*', 'admitted'],
    ['application/*, text/*;q=0.1', 'admitted'],
    ['application/json', 'not_acceptable'],
    ['text/event-stream', 'not_acceptable'],
    ['application/json;q=0, text/event-stream', 'not_acceptable'],
    [undefined, 'not_acceptable'],
  ])('finds an Accept of %s %s', (accept, expected) => {
    expect(reasonFor(LIST, { accept })).toBe(expected);
  });

  it.each(['a b', 'é', 'x'.repeat(257), ''])('refuses a session id of %j', (session) => {
    expect(reasonFor(LIST, { 'mcp-session-id': session })).toBe('bad_header');
  });

  it('knows no other methods', () => {
    for (const method of ['PUT', 'PATCH', 'OPTIONS', 'HEAD', 'post'])
      expect(reasonFor(LIST, {}, method)).toBe('method_not_allowed');
  });
});

describe('admitting the legs without a message', () => {
  const get = (headers: Headers) =>
    admitRequest({ method: 'GET', headers: { host: 'localhost:8474', ...headers }, body: undefined }, RULES);

  it('admits GET with session, revision and the place to resume at', () => {
    const headers = {
      accept: 'text/event-stream',
      'mcp-session-id': 's',
      'mcp-protocol-version': '2025-11-25',
      'last-event-id': 'e 1',
    };
    expect(get(headers)).toEqual({
      ok: true,
      value: {
        leg: 'GET',
        session: 's',
        lastEventId: 'e 1',
        mcpHeaders: { 'mcp-protocol-version': '2025-11-25', 'last-event-id': 'e 1' },
      },
    });
  });

  it('admits DELETE, which needs no Accept', () => {
    expect(
      admitRequest(
        { method: 'DELETE', headers: { host: 'localhost:8474', 'mcp-session-id': 's' }, body: undefined },
        RULES,
      ),
    ).toEqual({
      ok: true,
      value: { leg: 'DELETE', session: 's', mcpHeaders: {} },
    });
  });

  it('refuses a GET that wants no stream, an endless event id, one with control characters', () => {
    expect(get({ accept: 'application/json' })).toMatchObject({ error: { reason: 'not_acceptable' } });
    expect(get({ accept: '*/*', 'last-event-id': 'x'.repeat(1025) })).toMatchObject({
      error: { reason: 'bad_header' },
    });
    expect(get({ accept: '*/*', 'last-event-id': 'a\tb' })).toMatchObject({
      error: { reason: 'bad_header' },
    });
  });

  it('answers 405 on the modern era', () => {
    const refused = get({ accept: '*/*', 'mcp-protocol-version': '2026-07-28' });
    expect(refused.ok || admitRefusalToWire(refused.error)).toMatchObject({
      status: 405,
      headers: { allow: 'POST' },
    });
  });

  it('checks Host and Origin there too', () => {
    expect(get({ accept: '*/*', host: 'evil.example' })).toMatchObject({
      error: { reason: 'host_not_allowed' },
    });
    expect(get({ accept: '*/*', origin: 'http://evil.example' })).toMatchObject({
      error: { reason: 'origin_not_allowed' },
    });
  });
});

describe('agreement of headers and message', () => {
  it('admits a modern request whose headers repeat it, and passes them on', () => {
    const headers = {
      ...MODERN_HEADERS,
      'mcp-param-region': 'eu',
      'mcp-session-id': 'ignored',
      'x-other': '1',
    };
    expect(admit(MODERN, headers)).toMatchObject({
      value: { era: 'modern', mcpHeaders: { ...MODERN_HEADERS, 'mcp-param-region': 'eu' } },
    });
    expect(admit(MODERN, headers)).not.toHaveProperty('value.session');
    expect(admit(MODERN, headers)).not.toHaveProperty('value.mcpHeaders.x-other');
  });

  it('decodes an encoded Mcp-Name and ignores white space around it', () => {
    const named = (name: string, header: string) =>
      reasonFor({ ...MODERN, params: { ...MODERN.params, name } }, { ...MODERN_HEADERS, 'mcp-name': header });
    expect(named('grüße', `=?base64?${Buffer.from('grüße').toString('base64')}?=`)).toBe('admitted');
    expect(named('a', '  a  ')).toBe('admitted');
    expect(named('=?base64?literal', '=?base64?literal')).toBe('admitted');
    expect(named('a', '=?base64?YQ?=')).toBe('header_mismatch');
    expect(named('a', '=?base64?Y!Q=?=')).toBe('header_mismatch');
    expect(named('a', '=?BASE64?YQ==?=')).toBe('header_mismatch');
    expect(named('a', `=?base64?${Buffer.of(0xff).toString('base64')}?=`)).toBe('header_mismatch');
  });

  const mismatches: [string, Record<string, string | undefined>][] = [
    ['no version', { 'mcp-protocol-version': undefined }],
    ['another version', { 'mcp-protocol-version': '2026-07-29' }],
    ['a legacy version', { 'mcp-protocol-version': '2025-11-25' }],
    ['no method', { 'mcp-method': undefined }],
    ['another method', { 'mcp-method': 'tools/list' }],
    ['the method in capitals', { 'mcp-method': 'TOOLS/CALL' }],
    ['the method twice', { 'mcp-method': 'tools/call, tools/call' }],
    ['no name', { 'mcp-name': undefined }],
    ['another name', { 'mcp-name': 'b' }],
    ['the name in capitals', { 'mcp-name': 'A' }],
    ['control characters in a parameter', { 'mcp-param-x': 'a\u0001b' }],
    ['raw non-ASCII in the name', { 'mcp-name': 'gr\u00fc\u00dfe' }],
  ];

  it.each(mismatches)('refuses a modern request with %s', (_, headers) => {
    const refused = admit(MODERN, { ...MODERN_HEADERS, ...headers });
    expect(refused).toMatchObject({ ok: false, error: { reason: 'header_mismatch', id: 1 } });
    expect(refused.ok || admitRefusalToWire(refused.error)).toMatchObject({
      status: 400,
      body: { id: 1, error: { code: -32020 } },
    });
  });

  it.each([
    ['resources/read', 'uri'],
    ['prompts/get', 'name'],
    ['tasks/get', 'taskId'],
    ['tasks/cancel', 'taskId'],
  ])('compares Mcp-Name of %s with %s', (method, field) => {
    const message = { ...MODERN, method, params: { [field]: 'x', _meta: META } };
    expect(reasonFor(message, { ...MODERN_HEADERS, 'mcp-method': method, 'mcp-name': 'x' })).toBe('admitted');
    expect(reasonFor(message, { ...MODERN_HEADERS, 'mcp-method': method, 'mcp-name': 'y' })).toBe(
      'header_mismatch',
    );
  });

  it('passes on no Mcp-Name that repeats nothing', () => {
    const message = { ...MODERN, method: 'tools/list', params: { _meta: META } };
    const headers = { ...MODERN_HEADERS, 'mcp-method': 'tools/list', 'mcp-name': 'transfer_money' };
    expect(admit(message, headers)).not.toHaveProperty('value.mcpHeaders.mcp-name');
  });

  it('refuses a name header for a name that is no string', () => {
    expect(reasonFor({ ...MODERN, params: { name: 1, _meta: META } }, MODERN_HEADERS)).toBe(
      'header_mismatch',
    );
  });

  it('refuses legacy headers that disagree, and needs none', () => {
    const call = { ...LIST, method: 'tools/call', params: { name: 'a' } };
    expect(reasonFor(call, { 'mcp-protocol-version': '2025-11-25' })).toBe('admitted');
    expect(reasonFor(call, { 'mcp-method': 'tools/call', 'mcp-name': 'a' })).toBe('admitted');
    expect(reasonFor(call, { 'mcp-method': 'tools/list' })).toBe('header_mismatch');
    expect(reasonFor(call, { 'mcp-name': 'b' })).toBe('header_mismatch');
    expect(admit(call, { 'mcp-param-x': '1' })).not.toHaveProperty('value.mcpHeaders.mcp-param-x');
  });

  it.each([
    ['no _meta', {}],
    ['no protocolVersion', { _meta: { 'io.modelcontextprotocol/clientCapabilities': {} } }],
    ['no clientCapabilities', { _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' } }],
    [
      'a protocolVersion that is no string',
      { _meta: { ...META, 'io.modelcontextprotocol/protocolVersion': 1 } },
    ],
    [
      'clientCapabilities that are no object',
      { _meta: { ...META, 'io.modelcontextprotocol/clientCapabilities': [] } },
    ],
    ['_meta that is no object', { _meta: 'x' }],
  ])('refuses a modern request with %s as invalid params', (_, params: Record<string, JsonValue>) => {
    const refused = admit(
      { ...LIST, params },
      { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/list' },
    );
    expect(refused).toMatchObject({ ok: false, error: { reason: 'envelope_incomplete' } });
    expect(refused.ok || admitRefusalToWire(refused.error)).toMatchObject({
      status: 400,
      body: { id: 1, error: { code: -32602 } },
    });
  });

  it('tells a legacy initialize from a modern one', () => {
    const initialize = { ...LIST, method: 'initialize', params: { protocolVersion: '2025-11-25' } };
    expect(admit(initialize)).toMatchObject({ value: { era: 'legacy' } });
    expect(reasonFor(initialize, { 'mcp-protocol-version': '2026-07-28' })).toBe('header_mismatch');
    const modern = { ...initialize, params: { _meta: META } };
    const headers = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'initialize' };
    expect(admit(modern, headers)).toMatchObject({ value: { era: 'modern' } });
  });

  it('treats a notification under a modern header as modern, with or without an envelope', () => {
    const notification = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } };
    expect(admit(notification, { 'mcp-protocol-version': '2026-07-28' })).toMatchObject({
      value: { era: 'modern' },
    });
    expect(
      reasonFor({ ...notification, params: { _meta: META } }, { 'mcp-protocol-version': '2025-11-25' }),
    ).toBe('header_mismatch');
  });
});

describe('a refusal on the wire', () => {
  const statuses: [AdmitReason, number, number][] = [
    ['method_not_allowed', 405, -32000],
    ['host_not_allowed', 403, -32000],
    ['origin_not_allowed', 403, -32000],
    ['not_acceptable', 406, -32000],
    ['unsupported_media_type', 415, -32000],
    ['body_too_large', 413, -32000],
    ['not_utf8', 400, -32700],
    ['not_json', 400, -32700],
    ['ambiguous_json', 400, -32600],
    ['batch', 400, -32600],
    ['not_json_rpc', 400, -32600],
    ['bad_id', 400, -32600],
    ['unknown_key', 400, -32600],
    ['ambiguous_key', 400, -32600],
    ['bad_header', 400, -32600],
    ['header_mismatch', 400, -32020],
    ['envelope_incomplete', 400, -32602],
  ];

  it.each(statuses)('answers %s with %i and %i', (reason, status, code) => {
    const { body, ...wire } = admitRefusalToWire({ reason, detail: 'why', id: 'r' });
    expect(wire.status).toBe(status);
    expect(body).toEqual({ jsonrpc: '2.0', id: 'r', error: { code, message: 'why' } });
    expect(isJsonObject(admitRefusalToWire({ reason, detail: 'why' }).body)).toBe(true);
    expect(admitRefusalToWire({ reason, detail: 'why' }).body).not.toHaveProperty('id');
  });
});
