import { describe, expect, it } from 'vitest';
import type { UpstreamName } from '../../src/base/index.ts';
import { acceptedAudiences, authorityUrls, resourceMetadataUrl } from '../../src/identity/index.ts';

const desk = 'desk' as UpstreamName;

describe('the URLs of the authority', () => {
  it('all come from the public URL', () => {
    expect(authorityUrls('https://example.org/gate', [desk])).toMatchObject({
      issuer: 'https://example.org/gate',
      tokenEndpoint: 'https://example.org/gate/oauth/token',
      resources: ['https://example.org/gate/mcp', 'https://example.org/gate/mcp/desk'],
    });
  });

  it('accept at an upstream the gateway as a whole, and that upstream', () => {
    expect(acceptedAudiences('https://example.org', desk)).toEqual([
      'https://example.org/mcp',
      'https://example.org/mcp/desk',
    ]);
  });

  it('put the well-known part between host and path (RFC 9728)', () => {
    expect(resourceMetadataUrl('https://example.org/gate/mcp/desk')).toBe(
      'https://example.org/.well-known/oauth-protected-resource/gate/mcp/desk',
    );
  });

  it.each([
    'https://example.org/',
    'https://Example.org',
    'https://example.org:443',
    'https://example.org?x',
    'ftp://example.org',
    'example.org',
    '',
  ])('are refused for %j, because two spellings of one issuer do not match', (url) => {
    expect(() => authorityUrls(url, [])).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }));
  });
});
