import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/base/index.ts';
import { deriveAnnotations } from '../../src/cedar/derive-annotations.ts';

const TEXT = { type: 'string' };
const derive = (properties: JsonObject, more: JsonObject = {}) =>
  deriveAnnotations({ name: 'send_it', inputSchema: { type: 'object', properties, ...more } });
const address = (path: string) => ({ path, kind: 'address' });

describe('key arguments that hide in a schema', () => {
  it('are found behind a reference', () => {
    const $defs = { message: { type: 'object', properties: { to: TEXT, body: TEXT } } };
    expect(derive({ message: { $ref: '#/$defs/message' } }, { $defs }).keyArguments).toEqual([
      address('message.to'),
    ]);
  });

  it('are found when the whole schema is a reference', () => {
    const $defs = { all: { type: 'object', properties: { to: TEXT } } };
    const found = deriveAnnotations({ name: 'send_it', inputSchema: { $ref: '#/$defs/all', $defs } });
    expect(found.keyArguments).toEqual([address('to')]);
  });

  it('may be anywhere when a reference leads nowhere', () => {
    expect(derive({ message: { $ref: 'https://elsewhere.example/schema' } }).keyArguments).toEqual([
      address('message'),
    ]);
  });

  it('are found in lists of objects of unions, however deep', () => {
    const envelope = { anyOf: [{ type: 'null' }, { properties: { headers: { properties: { to: TEXT } } } }] };
    const items = { type: 'object', properties: { text: TEXT, envelope } };
    expect(derive({ messages: { type: 'array', items } }).keyArguments).toEqual([
      address('messages.envelope.headers.to'),
    ]);
  });

  it('are found in parts that hold only sometimes', () => {
    const then = { properties: { recipient: TEXT } };
    expect(derive({ mode: { enum: ['a'] } }, { then }).keyArguments).toEqual([address('recipient')]);
  });

  it('may be anywhere in a schema that is too large to read', () => {
    const many = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`text${i}`, TEXT]));
    const { keyArguments } = derive({ ...many, to: TEXT });
    expect(keyArguments).toContainEqual(address('to'));
  });

  it('end where a schema goes round in circles', () => {
    const $defs = { node: { properties: { to: TEXT, next: { $ref: '#/$defs/node' } } } };
    expect(derive({ node: { $ref: '#/$defs/node' } }, { $defs }).keyArguments).toEqual([
      address('node.to'),
      address('node.next'),
    ]);
  });

  it('are ids that are numbers, but not amounts', () => {
    const { keyArguments } = derive({ file_id: { type: 'integer' }, amount: { type: 'number' } });
    expect(keyArguments).toEqual([{ path: 'file_id', kind: 'identifier' }]);
  });

  it.each([
    ['a format that nobody checks', 'recipient', { type: 'string', format: 'byte' }],
    ['a name in letters that look like others', 't\u043e', TEXT],
    ['a name that is written as one word', 'toaddress', TEXT],
  ])('are not hidden by %s', (_, name, schema) => {
    expect(derive({ [name]: schema }).keyArguments).toEqual([address(name)]);
  });
});

describe('a hint of an upstream', () => {
  const hinted = (name: string, properties: JsonObject = {}) =>
    deriveAnnotations({ name, inputSchema: { properties }, annotations: { readOnlyHint: true } });

  it.each(['mail_gateway', 'email_customer', 'webhook'])('does not make %s a read', (name) => {
    expect(hinted(name).effect).toBe('write');
  });

  it('does not make a read of what is told whom to reach', () => {
    expect(hinted('dispatch', { recipient: TEXT }).effect).toBe('write');
    expect(hinted('forecast', { region: TEXT }).effect).toBe('read');
  });

  it.each(['status_update', 'list_add_member', 'query_execute'])(
    'and a noun that is a verb elsewhere does not make %s one',
    (name) => expect(hinted(name).effect).toBe('write'),
  );
});
