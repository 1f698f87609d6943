import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type AgentName, createIdSource, parseAgentName } from '../../src/base/index.ts';
import {
  agentSpiffeId,
  parseSpiffeId,
  parseTrustDomain,
  runSpiffeId,
  type TrustDomain,
} from '../../src/identity/index.ts';
import { agentOfRun } from '../../src/identity/spiffe-id.ts';

const ids = createIdSource(Date.now);
const domain = fc.stringMatching(/^[a-z0-9._-]{1,40}$/).map((text) => parseTrustDomain(text) as TrustDomain);
const agent = fc
  .stringMatching(/^[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?$/)
  .map((text) => parseAgentName(text) as AgentName);

describe('a SPIFFE ID', () => {
  it('is read as it was printed', () => {
    fc.assert(
      fc.property(domain, agent, (trustDomain, name) => {
        const run = ids.runId();
        const runId = runSpiffeId(trustDomain, name, run);
        expect(parseSpiffeId(runId)).toEqual({ kind: 'run', trustDomain, agent: name, run });
        expect(parseSpiffeId(agentSpiffeId(trustDomain, name))).toEqual({
          kind: 'agent',
          trustDomain,
          agent: name,
        });
        expect(agentOfRun(runId)).toBe(agentSpiffeId(trustDomain, name));
      }),
    );
  });

  it('is printed as it was read, or not read at all', () => {
    const noise = fc
      .stringMatching(/^[a-z0-9/.%-]{0,40}$/)
      .map((rest) => `spiffe://example.org/agent/${rest}`);
    fc.assert(
      fc.property(noise, (text) => {
        const name = parseSpiffeId(text);
        if (name === undefined) return;
        const printed =
          name.kind === 'run'
            ? runSpiffeId(name.trustDomain, name.agent, name.run)
            : agentSpiffeId(name.trustDomain, name.agent);
        expect(printed).toBe(text);
      }),
    );
  });

  it.each([
    'spiffe://Example.org/agent/a',
    'SPIFFE://example.org/agent/a',
    'spiffe://example.org/agent/a/',
    'spiffe://example.org//agent/a',
    'spiffe://example.org/agent/../a',
    'spiffe://example.org/agent/%61',
    'spiffe://example.org/agent/a/run',
    'spiffe://example.org/agent/a/run/',
    'spiffe://example.org/agent/a/run/01ARZ3NDEKTSV4RRFFQ69G5FAV/x',
    'spiffe://example.org/agent/a/run/01arz3ndektsv4rrffq69g5fav',
    'spiffe://example.org/ns/default/sa/a',
    'spiffe://example.org:443/agent/a',
    'spiffe://user@example.org/agent/a',
    'spiffe://example.org/agent/a?x',
    'spiffe://example.org/agent/a#x',
    'spiffe:///agent/a',
    'https://example.org/agent/a',
    `spiffe://example.org/agent/${'a'.repeat(3000)}`,
    '',
    7,
    null,
  ])('is not %j', (value) => {
    expect(parseSpiffeId(value)).toBeUndefined();
  });
});
