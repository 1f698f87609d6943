import { describe, expect, it } from 'vitest';
import { type ConnectFlags, connect } from '../../src/cli/connect.ts';

const GATEWAY = 'http://127.0.0.1:1/mcp/files';
const key = { key: '/missing', issuer: 'i', subject: 's' };

describe('sallyport connect', () => {
  it.each<[string, string, ConnectFlags, RegExp]>([
    ['no purpose', GATEWAY, key, /purpose is missing/],
    ['no key', GATEWAY, { purpose: 'test' }, /key, issuer and subject/],
    ['a key and a file', GATEWAY, { ...key, assertionFile: '/x', purpose: 'test' }, /exclude each other/],
    ['no upstream', 'http://127.0.0.1:1/mcp', { ...key, purpose: 'test' }, /url must be/],
    ['bearer tokens at a gateway', GATEWAY, { ...key, purpose: 'test', allowBearer: true }, /--direct/],
    ['a login at a gateway', GATEWAY, { ...key, purpose: 'test', login: true }, /--direct/],
    [
      'another authority at a gateway',
      GATEWAY,
      { ...key, purpose: 'test', authorizationServer: 'x' },
      /--direct/,
    ],
    ['a purpose without a gateway', GATEWAY, { ...key, purpose: 'test', direct: true }, /leave out --direct/],
    ['a login and a key', GATEWAY, { ...key, login: true, direct: true }, /needs no key/],
  ])('refuses %s, and starts nothing', async (_, url, flags, message) => {
    const said: string[] = [];
    const started = connect({ url, ...flags, complain: (line) => void said.push(line) });
    await expect(started).rejects.toMatchObject({ code: 'ERR_CONFIG_INVALID' });
    await expect(started).rejects.toThrow(message);
    expect(said).toEqual([]);
  });

  it('refuses a server in clear that is not on this machine', async () => {
    const url = 'http://files.example.org/mcp';
    const started = connect({ url, ...key, direct: true, complain: () => undefined });
    await expect(started).rejects.toThrow('https');
  });
});
