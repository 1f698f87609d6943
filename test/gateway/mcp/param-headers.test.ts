import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../src/base/index.ts';
import { checkParamHeaders } from '../../../src/gateway/mcp/index.ts';

const TOOL: JsonObject = {
  name: 'sql',
  inputSchema: {
    type: 'object',
    properties: {
      region: { type: 'string', 'x-mcp-header': 'Region' },
      limit: { type: 'integer', 'x-mcp-header': 'Limit' },
      dry: { type: 'boolean', 'x-mcp-header': 'Dry' },
      where: { type: 'object', properties: { zone: { type: 'string', 'x-mcp-header': 'Zone' } } },
      list: { type: 'array', items: { type: 'string', 'x-mcp-header': 'Not-Reachable' } },
    },
  },
};
const encode = (value: string): string => `=?base64?${Buffer.from(value).toString('base64')}?=`;

describe('headers that repeat arguments', () => {
  it.each<[JsonObject, Record<string, string>]>([
    [{ region: 'eu' }, { 'mcp-param-region': 'eu' }],
    [{ region: 'grüße' }, { 'mcp-param-region': encode('grüße') }],
    [{ region: ' eu ' }, { 'mcp-param-region': encode(' eu ') }],
    [{ limit: 42 }, { 'mcp-param-limit': '42.0' }],
    [{ limit: -7 }, { 'mcp-param-limit': '-7' }],
    [{ dry: false }, { 'mcp-param-dry': 'false' }],
    [{ where: { zone: 'a' } }, { 'mcp-param-zone': 'a' }],
    [{}, {}],
    [{ region: null }, {}],
    [{ list: ['x'] }, {}],
    [{}, { 'mcp-param-unknown': '1' }],
  ])('agree: %j with %j', (args, headers) => {
    expect(checkParamHeaders(TOOL, args, headers)).toBeUndefined();
  });

  it.each<[JsonObject, Record<string, string>]>([
    [{ region: 'eu' }, {}],
    [{}, { 'mcp-param-region': 'for nothing' }],
    [{ region: null }, { 'mcp-param-region': 'null' }],
    [{ region: 'eu' }, { 'mcp-param-region': 'us' }],
    [{ region: 'eu' }, { 'mcp-param-region': 'EU' }],
    [{ region: 'Hello' }, { 'mcp-param-region': '=?base64?SGVsbG8?=' }],
    [{ region: 'Hello' }, { 'mcp-param-region': '=?base64?SGVs!!!bG8=?=' }],
    [{ limit: 42 }, { 'mcp-param-limit': '43' }],
    [{ limit: 42 }, { 'mcp-param-limit': '0x2a' }],
    [{ limit: 42 }, { 'mcp-param-limit': '' }],
    [{ dry: true }, { 'mcp-param-dry': 'True' }],
    [{ where: { zone: 'a' } }, { 'mcp-param-zone': 'b' }],
  ])('disagree: %j with %j', (args, headers) => {
    expect(checkParamHeaders(TOOL, args, headers)).toMatch(/^the mcp-param-/);
  });

  it('takes inherited names for no arguments', () => {
    const tool = { inputSchema: { properties: { constructor: { type: 'string', 'x-mcp-header': 'C' } } } };
    expect(checkParamHeaders(tool, {}, {})).toBeUndefined();
  });

  it('survives a tool without a schema', () => {
    expect(checkParamHeaders({ name: 'x' }, { a: 1 }, {})).toBeUndefined();
    expect(
      checkParamHeaders({ name: 'x', inputSchema: { properties: { a: true } } }, { a: 1 }, {}),
    ).toBeUndefined();
  });
});
