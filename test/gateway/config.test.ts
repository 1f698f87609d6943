import { describe, expect, it } from 'vitest';
import { SallyportError } from '../../src/base/index.ts';
import { parseConfig } from '../../src/gateway/config.ts';

const minimal = {
  trustDomain: 'agents.example',
  agents: [
    {
      name: 'desk',
      owner: { kind: 'team', name: 'support', contact: 'support@example.org' },
      purposes: ['triage'],
      tools: ['files/*'],
    },
  ],
  attestors: [{ kind: 'join-token' }],
  upstreams: [{ name: 'files', transport: { kind: 'stdio', command: 'node' } }],
};

function problem(change: object): string {
  try {
    parseConfig({ ...minimal, ...change }, 'sallyport.json');
  } catch (error) {
    if (error instanceof SallyportError && error.code === 'ERR_CONFIG_INVALID') return error.message;
    throw error;
  }
  throw new Error('the configuration was accepted');
}

describe('parseConfig', () => {
  it('fills in safe defaults', () => {
    const config = parseConfig(minimal, 'sallyport.json');
    expect(config.agentPlane.host).toBe('127.0.0.1');
    expect(config.adminPlane.host).toBe('127.0.0.1');
    expect(config.allowedOrigins).toEqual([]);
    expect(config.upstreams[0]?.credential).toEqual({ kind: 'none' });
    expect(config.agents[0]?.maxDepth).toBe(0);
  });

  it.each([
    ['an unknown key', { polices: './policies' }, /polices/],
    [
      'an agent without an owner',
      { agents: [{ ...minimal.agents[0], owner: undefined }] },
      /agents\[0\]\.owner/,
    ],
    ['a port that is none', { agentPlane: { port: 70_000 } }, /agentPlane\.port/],
    [
      'a tool of an upstream that is not there',
      { agents: [{ ...minimal.agents[0], tools: ['mail/*'] }] },
      /no upstream is called "mail"/,
    ],
    [
      'two upstreams with one name',
      { upstreams: [...minimal.upstreams, ...minimal.upstreams] },
      /two have the same name/,
    ],
    [
      'a label that is not declared',
      { upstreams: [{ ...minimal.upstreams[0], tools: { read: { labels: ['untrustd'] } } }] },
      /"untrustd" is not in labels/,
    ],
    [
      'a call-token for a stdio child',
      { upstreams: [{ ...minimal.upstreams[0], credential: { kind: 'call-token' } }] },
      /has no header/,
    ],
    [
      'a join token beyond loopback',
      { agentPlane: { host: '0.0.0.0', port: 8474 } },
      /loopback listeners only/,
    ],
    ['one port for both planes', { adminPlane: { port: 8474 } }, /adminPlane\.port: must differ/],
    ['an admin plane for everyone', { adminPlane: { host: '0.0.0.0', port: 8475 } }, /adminPlane\.host/],
    [
      'an attestor rule without claims',
      {
        attestors: [
          {
            kind: 'jwt',
            name: 'ci',
            issuer: 'https://ci.example',
            jwks: { url: 'https://ci.example/jwks' },
            algorithms: ['ES256'],
            rules: [{ agent: 'desk', claims: {} }],
          },
        ],
      },
      /at least one claim/,
    ],
  ])('refuses %s and names it', (_, change, message) => {
    expect(problem(change)).toMatch(message);
  });

  it('reports all mistakes at once', () => {
    const message = problem({ trustDomain: 'UPPER', agents: [], surprise: true });
    expect(message).toMatch(/trustDomain/);
    expect(message).toMatch(/agents/);
    expect(message).toMatch(/surprise/);
  });
});
