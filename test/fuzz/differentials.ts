import { LEGACY_HEADERS, modern } from '../support/mcp-post.ts';

/** A request that two parsers could read as two different ones. */
export type DifferentialCase = {
  readonly name: string;
  readonly body: Uint8Array<ArrayBuffer> | string;
  readonly headers: Record<string, string>;
  /** For what is admitted: the one message that it can mean. */
  readonly means?: unknown;
};

const CALL = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"look","arguments":{}}}';

/** The call with one piece of its text replaced. */
function swap(piece: string, by: string): string {
  if (!CALL.includes(piece)) throw new TypeError(`not in the call: ${piece}`);
  return CALL.replace(piece, () => by);
}

const args = (text: string): string => swap('"arguments":{}', `"arguments":${text}`);
const meta = (text: string): string => swap('"name":"look"', `"name":"look","_meta":${text}`);
const bytes = (text: string, encoding: BufferEncoding = 'utf8'): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(Buffer.from(text, encoding));
/** The call with raw bytes in the place of its tool name. */
const named = (...raw: number[]): Uint8Array<ArrayBuffer> => {
  const [before = '', after = ''] = CALL.split('look');
  return Uint8Array.from([...Buffer.from(before), ...raw, ...Buffer.from(after)]);
};
const nested = (open: string, close: string, depth: number): string =>
  args(`{"a":${open.repeat(depth)}1${close.repeat(depth)}}`);

const duplicateKeys: [string, string][] = [
  ['method twice, harmless first', swap('"method":"tools/call"', '"method":"ping","method":"tools/call"')],
  ['method twice, harmless last', swap('"method":"tools/call"', '"method":"tools/call","method":"ping"')],
  ['method twice, once with an escape', swap('"method"', '"\\u006dethod":"ping","method"')],
  ['method twice, escaped in upper case', swap('"method"', '"\\u006Dethod":"ping","method"')],
  [
    'method twice, escaped throughout',
    swap('"method"', '"\\u006d\\u0065\\u0074\\u0068\\u006f\\u0064":"ping","method"'),
  ],
  ['params twice', swap('}}}', '}},"params":{"name":"wipe"}}')],
  ['id twice', swap('"id":1', '"id":1,"id":2')],
  ['jsonrpc twice', swap('"jsonrpc":"2.0"', '"jsonrpc":"1.0","jsonrpc":"2.0"')],
  ['name twice', swap('"name":"look"', '"name":"wipe","name":"look"')],
  ['name twice with the same value', swap('"name":"look"', '"name":"look","name":"look"')],
  ['name twice, far apart', swap('"arguments":{}', '"arguments":{},"task":{},"n\\u0061me":"wipe"')],
  ['arguments twice', swap('"arguments":{}', '"arguments":{"path":"/tmp"},"arguments":{"path":"/etc"}')],
  ['an argument twice', args('{"path":"/tmp","path":"/etc"}')],
  ['an argument twice in a list', args('{"a":[{"b":1,"b":2}]}')],
  ['an argument twice, six levels down', args('{"a":{"b":[[{"c":{"d":1,"\\u0064":2}}]]}}')],
  ['an empty key twice', args('{"":1,"":2}')],
  ['a key with an escaped quote twice', args('{"\\"":1,"\\u0022":2}')],
  ['a key with an escaped slash twice', args('{"/":1,"\\/":2}')],
  ['a key with a surrogate pair twice', args('{"😀":1,"\\ud83d\\ude00":2}')],
  ['a key with a tab twice', args('{"\\t":1,"\\u0009":2}')],
  ['_meta twice', swap('"name":"look"', '"_meta":{},"name":"look","_meta":{"progressToken":1}')],
  ['progressToken twice', meta('{"progressToken":1,"progressToken":2}')],
  ['__proto__ in arguments', args('{"__proto__":{"path":"/etc"}}')],
  ['__proto__ with an escape', args('{"\\u005f_proto__":{"path":"/etc"}}')],
  ['__proto__ in the envelope', swap('"id":1', '"id":1,"__proto__":{"method":"ping"}')],
];

const caseVariants: [string, string][] = [
  ['Method for method', swap('"method"', '"Method"')],
  ['METHOD beside method', swap('"method"', '"METHOD":"ping","method"')],
  ['ID beside id', swap('"id":1', '"id":1,"ID":2')],
  ['Params beside params', swap('"params"', '"Params":{"name":"wipe"},"params"')],
  ['JSONRPC beside jsonrpc', swap('"jsonrpc"', '"JSONRPC":"2.0","jsonrpc"')],
  ['Result beside method', swap('"id":1', '"id":1,"Result":{}')],
  ['Name beside name', swap('"name":"look"', '"name":"look","Name":"wipe"')],
  ['Name for name', swap('"name"', '"Name"')],
  ['Arguments beside arguments', swap('"arguments":{}', '"arguments":{},"Arguments":{"path":"/etc"}')],
  ['arguments with a long s', swap('"arguments":{}', '"arguments":{},"argument\u017f":{"path":"/etc"}')],
  ['tasK with a Kelvin sign', swap('"name":"look"', '"name":"look","tas\u212a":{}')],
  ['_META beside _meta', swap('"name":"look"', '"name":"look","_META":{}')],
  ['PROGRESSTOKEN in _meta', meta('{"PROGRESSTOKEN":1}')],
  ['the revision in another case in _meta', meta('{"io.modelcontextprotocol/ProtocolVersion":"2026-07-28"}')],
  ['Path beside path in arguments', args('{"path":"/tmp","Path":"/etc"}')],
  ['an argument beside itself with a dotless i', args('{"file":1,"FILE":2}')],
  ['Uri beside uri', swap('"name":"look"', '"name":"look","uri":"a","Uri":"b"')],
  ['InputResponses for inputResponses', swap('"arguments":{}', '"arguments":{},"InputResponses":{}')],
];

const encodings: [string, Uint8Array<ArrayBuffer> | string][] = [
  ['a byte order mark', bytes(`\ufeff${CALL}`)],
  ['UTF-16, little-endian', bytes(CALL, 'utf16le')],
  ['UTF-16 with a byte order mark', bytes(`\ufeff${CALL}`, 'utf16le')],
  ['UTF-16, big-endian', Uint8Array.from(Buffer.from(CALL, 'utf16le').swap16())],
  ['Latin-1', bytes(swap('look', 'löök'), 'latin1')],
  ['an overlong slash', named(0xc0, 0xaf)],
  ['an overlong quote', named(0xc0, 0xa2)],
  ['an overlong NUL', named(0xc0, 0x80)],
  ['an overlong letter of three bytes', named(0xe0, 0x81, 0xac)],
  ['a surrogate in UTF-8 (CESU-8)', named(0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80)],
  ['a character beyond Unicode', named(0xf4, 0x90, 0x80, 0x80)],
  ['a lone continuation byte', named(0x80)],
  ['a character that is cut off', named(0xe2, 0x82)],
  ['a raw NUL in a string', named(0x00)],
  ['a raw line break in a string', named(0x0a)],
  ['a NUL behind the message', bytes(`${CALL}\0`)],
  ['a NUL before the message', bytes(`\0${CALL}`)],
  ['a form feed as white space', bytes(`\f${CALL}`)],
  ['a no-break space as white space', bytes(`\u00a0${CALL}`)],
  ['a lone high surrogate by escape', swap('look', '\\ud800')],
  ['a lone low surrogate by escape', args('{"a":"\\udc00"}')],
  ['surrogates in the wrong order', args('{"a":"\\ude00\\ud83d"}')],
  ['a lone surrogate as key', args('{"\\ud800":1}')],
];

const numbers: [string, string][] = [
  ['an integer beyond 2^53', args('{"n":9007199254740993}')],
  ['a negative integer beyond 2^53', args('{"n":-9007199254740993}')],
  ['an integer beyond 2^64', args('{"n":18446744073709551617}')],
  ['an integer beyond 2^53 as exponent', args('{"n":9007199254740993e0}')],
  ['an integer beyond 2^53 as fraction', args('{"n":9007199254740993.0}')],
  ['a number that overflows', args('{"n":1e400}')],
  ['a large id', swap('"id":1', '"id":9007199254740993')],
  ['a fraction as id', swap('"id":1', '"id":1.5')],
  ['an overflowing id', swap('"id":1', '"id":1e999')],
  ['null as id', swap('"id":1', '"id":null')],
  ['true as id', swap('"id":1', '"id":true')],
  ['a list as id', swap('"id":1', '"id":[1]')],
  ['a leading zero', args('{"n":01}')],
  ['a leading plus', args('{"n":+1}')],
  ['a bare fraction', args('{"n":.5}')],
  ['a fraction without digits', args('{"n":1.}')],
  ['a hexadecimal number', args('{"n":0x10}')],
  ['NaN', args('{"n":NaN}')],
  ['Infinity', args('{"n":-Infinity}')],
];

const grammar: [string, string][] = [
  ['a comment', swap('"id":1', '"id":1/* , "id":2 */')],
  ['a line comment', swap('"id":1', '"id":1 // x\n')],
  ['single quotes', CALL.replaceAll('"', "'")],
  ['keys without quotes', swap('"method"', 'method')],
  ['a trailing comma', swap('{}}}', '{},}}')],
  ['a trailing comma in a list', args('{"a":[1,]}')],
  ['an escaped line break in a string', swap('look', 'lo\\\nok')],
  ['an unknown escape', swap('look', '\\x6cook')],
  ['two messages', CALL + CALL],
  ['a message within white space and another', `${CALL}\n${CALL}`],
  ['something behind the message', `${CALL}]`],
  ['a batch', `[${CALL}]`],
  ['a batch in a batch', `[[${CALL}]]`],
  ['a message within a string', JSON.stringify(CALL)],
  ['65 levels of objects', nested('{"a":', '}', 65)],
  ['10,000 levels of lists', nested('[', ']', 10_000)],
  ['a member that JSON-RPC does not know', swap('"id":1', '"id":1,"extra":1')],
  ['a result beside a method', swap('"id":1', '"id":1,"result":{}')],
  ['params by position', swap('"params":{"name":"look","arguments":{}}', '"params":["look",{}]')],
  ['params of null', swap('{"name":"look","arguments":{}}', 'null')],
  ['another version of JSON-RPC', swap('"2.0"', '"2.00"')],
  ['a version that is a number', swap('"2.0"', '2.0')],
  ['a method with a zero-width space', swap('tools/call', 'tools/call\u200b')],
  ['a method with a NUL', swap('tools/call', 'tools/call\\u0000')],
  ['a method in full width', swap('tools/call', 'ｔools/call')],
  ['a method that is a list', swap('"tools/call"', '["tools/call"]')],
];

const LOOK = modern('tools/call', { name: 'look', arguments: {} });
const modernWith = (headers: Record<string, string>) => ({
  body: JSON.stringify(LOOK.message),
  headers: { ...LEGACY_HEADERS, ...LOOK.headers, ...headers },
});
const headers: [string, { readonly body: string; readonly headers: Record<string, string> }][] = [
  ['Mcp-Name in base64 of another name', modernWith({ 'mcp-name': '=?base64?d2lwZQ==?=' })],
  ['Mcp-Name in base64 without padding', modernWith({ 'mcp-name': '=?base64?bG9vaw?=' })],
  ['Mcp-Name in base64 with spare bits', modernWith({ 'mcp-name': '=?base64?bG9vax==?=' })],
  ['Mcp-Name in base64url', modernWith({ 'mcp-name': '=?base64?bG9va-__?=' })],
  ['Mcp-Name in base64 with a space', modernWith({ 'mcp-name': '=?base64?bG9v aw==?=' })],
  ['Mcp-Name in base64 of overlong UTF-8', modernWith({ 'mcp-name': '=?base64?wKw=?=' })],
  ['Mcp-Name in base64 behind a byte order mark', modernWith({ 'mcp-name': '=?base64?77u/bG9vaw==?=' })],
  ['Mcp-Name in base64 with a line break inside', modernWith({ 'mcp-name': '=?base64?bG9vawo=?=' })],
  ['Mcp-Name in base64 in capitals', modernWith({ 'mcp-name': '=?BASE64?bG9vaw==?=' })],
  ['Mcp-Name encoded twice', modernWith({ 'mcp-name': '=?base64?PT9iYXNlNjQ/Ykc5dmF3PT0/PQ==?=' })],
  ['Mcp-Name in quotes', modernWith({ 'mcp-name': '"look"' })],
  ['Mcp-Name in percent signs', modernWith({ 'mcp-name': '%6cook' })],
  ['Mcp-Method with a parameter', modernWith({ 'mcp-method': 'tools/call;q=1' })],
  [
    'a media type that is not JSON',
    { body: CALL, headers: { ...LEGACY_HEADERS, 'content-type': 'text/plain' } },
  ],
  [
    'JSON in UTF-16 by name',
    { body: CALL, headers: { ...LEGACY_HEADERS, 'content-type': 'application/json; charset=utf-16' } },
  ],
  [
    'JSON in UTF-7 by name',
    { body: CALL, headers: { ...LEGACY_HEADERS, 'content-type': 'application/json;charset=utf-7' } },
  ],
  [
    'two media types',
    { body: CALL, headers: { ...LEGACY_HEADERS, 'content-type': 'application/json, text/plain' } },
  ],
  ['a compressed body by name', { body: CALL, headers: { ...LEGACY_HEADERS, 'content-encoding': 'gzip' } }],
  [
    'a body compressed by an unknown name',
    { body: CALL, headers: { ...LEGACY_HEADERS, 'content-encoding': 'IDENTITY, br' } },
  ],
];

const admitted: [string, string, unknown?, Record<string, string>?][] = [
  ['white space', ` \n\t\r${CALL.replaceAll(',', ' ,\n')} \n`],
  ['escapes in a name', swap('look', '\\u006c\\u006f\\u006fk')],
  ['escapes in a key', swap('"method"', '"\\u006dethod"')],
  ['an exponent that is an integer', args('{"n":1E2}')],
  ['a fraction of zeros', args('{"n":1.0}')],
  ['minus zero', args('{"n":-0}'), JSON.parse(args('{"n":0}'))],
  ['a fraction with more digits than a double has', args('{"n":0.1000000000000000055511151231257827}')],
  ['the largest safe integer', args('{"n":9007199254740991}')],
  ['an escaped NUL in a value', args('{"a":"x\\u0000y"}')],
  ['a byte order mark within a value', args('{"a":"\\ufeffx"}')],
  ['separators that JavaScript took for line ends', args('{"a":"\u2028\u2029"}')],
  ['combining characters, not normalised', args('{"e\u0301":1,"\u00e9":2}')],
  ['keys of Object.prototype', args('{"constructor":1,"toString":2,"hasOwnProperty":3}')],
  ['keys that look like list indices', args('{"2":"b","1":"a"}')],
  ['50 levels', nested('[', ']', 50)],
  ['unknown parameters', swap('"arguments":{}', '"arguments":{},"x-vendor":{"a":[1,null,true]}')],
  ['a media type in another case', CALL, undefined, { 'content-type': 'Application/JSON; Charset="UTF-8"' }],
];

const toCase =
  (kind: string) =>
  ([name, body]: [string, Uint8Array<ArrayBuffer> | string]): DifferentialCase => ({
    name: `${kind}: ${name}`,
    body,
    headers: LEGACY_HEADERS,
  });

/** The corpus: what must be refused, and what must pass because it has one meaning only. */
export const differentials: {
  readonly refused: readonly DifferentialCase[];
  readonly admitted: readonly DifferentialCase[];
} = {
  refused: [
    ...duplicateKeys.map(toCase('duplicate keys')),
    ...caseVariants.map(toCase('look-alike keys')),
    ...encodings.map(toCase('encoding')),
    ...numbers.map(toCase('numbers')),
    ...grammar.map(toCase('grammar')),
    ...headers.map(([name, request]) => ({ name: `headers: ${name}`, ...request })),
  ],
  admitted: admitted.map(([name, body, means, more]) => ({
    name,
    body,
    headers: { ...LEGACY_HEADERS, ...more },
    means: means ?? JSON.parse(body),
  })),
};
