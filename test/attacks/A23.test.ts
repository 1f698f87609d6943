import { describe, expect, it } from 'vitest';
import { authenticate } from '../../src/identity/index.ts';
import { createAgentKey } from '../support/agent-key.ts';
import {
  createTestAuthority,
  intentField,
  JWT_BEARER,
  openTestRun,
  PUBLIC_URL,
  requestToken,
} from '../support/authority.ts';
import { createTestIssuer } from '../support/issuer.ts';
import { jwtAttestor } from '../support/jwt-attestor.ts';
import { manualClock } from '../support/manual-clock.ts';
import { startRealAuthority } from '../support/real-authority.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

function setup() {
  const clock = manualClock();
  const issuer = createTestIssuer('https://ci.example.org', clock.now);
  const authority = createTestAuthority({ attestors: [jwtAttestor(issuer, clock)] }, clock);
  const open = (form: Record<string, string>) =>
    requestToken(
      { grant_type: JWT_BEARER, assertion: issuer.sign({ sub: 'job-7' }), ...form },
      createAgentKey(clock.now),
      authority,
    );
  return { clock, issuer, authority, open };
}

const deep = (levels: number) => `${'['.repeat(levels)}${']'.repeat(levels)}`;

describe('A23: something very large', () => {
  it('is not read as an assertion, a proof or a token', async () => {
    const { issuer, open } = setup();
    expect((await open({ assertion: issuer.sign({ sub: 'job-7', pad: 'x'.repeat(8192) }) })).ok).toBe(false);
    expect((await open({ assertion: `${'a'.repeat(4_000_000)}.b.c` })).ok).toBe(false);
    const authority = createTestAuthority();
    const key = createAgentKey(authority.clock.now);
    const { access_token: token } = await openTestRun(key, authority);
    const url = `${PUBLIC_URL}/mcp/desk`;
    const request = { method: 'POST', url, resources: authority.deps.urls.resources };
    const large = key.prove({ url, token, claims: { pad: 'x'.repeat(8192) } });
    expect(
      await authenticate({ ...request, authorization: `DPoP ${token}`, dpop: large }, authority.deps),
    ).toMatchObject({ error: { defect: 'too_large' } });
    const proof = key.prove({ url, token });
    const padded = { ...request, authorization: `DPoP ${token}${'A'.repeat(9000)}`, dpop: proof };
    expect((await authenticate(padded, authority.deps)).ok).toBe(false);
  });

  it.each([
    [
      'a thousand tools',
      intentField({ purpose: 'triage', tools: Array.from({ length: 1000 }, (_, i) => `desk/t${i}`) }),
    ],
    ['as many nested lists as a form holds', deep(32_000)],
    [
      'a thousand details',
      JSON.stringify(Array.from({ length: 1000 }, () => ({ type: 'sallyport_intent' }))),
    ],
    ['a purpose of a megabyte', intentField({ purpose: 'a'.repeat(1_000_000) })],
    ['more than a number holds', '[{"type":"sallyport_intent","purpose":"triage","max_calls":1e400}]'],
  ])('opens no run: %s', async (_what, details) => {
    const startedAt = performance.now();
    expect((await setup().open({ authorization_details: details })).ok).toBe(false);
    expect(performance.now() - startedAt).toBeLessThan(1000);
  });

  it('is no scope, and no claim that is nested without end', async () => {
    const { issuer, open } = setup();
    const details = { authorization_details: intentField({ purpose: 'triage' }) };
    expect(await open({ ...details, scope: 'mcp '.repeat(100_000) })).toMatchObject({
      error: { error: 'invalid_scope' },
    });
    expect(
      (await open({ ...details, assertion: issuer.sign({ sub: 'job-7', act: JSON.parse(deep(500)) }) })).ok,
    ).toBe(false);
    expect((await open(details)).ok).toBe(true);
  });

  it('does not get into a form: size, number of fields, and their repetition are bounded', async () => {
    const folder = temporaryFolder();
    await using authority = await startRealAuthority(folder, {
      trustDomain: 'lab.example',
      agents: [
        {
          name: 'desk',
          owner: { kind: 'team', name: 'lab', contact: 'x' },
          purposes: ['test'],
          tools: ['w/*'],
        },
      ],
      attestors: [{ kind: 'join-token' }],
      upstreams: [{ name: 'w', transport: { kind: 'http', url: 'http://127.0.0.1:1' } }],
    });
    const send = (body: string) =>
      fetch(`${authority.url}/oauth/token`, {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body,
      });
    expect((await send(`assertion=${'x'.repeat(70_000)}`)).status).toBe(413);
    expect((await send(Array.from({ length: 65 }, (_, i) => `f${i}=1`).join('&'))).status).toBe(400);
    expect((await send('grant_type=a&grant_type=b')).status).toBe(400);
  });
});
