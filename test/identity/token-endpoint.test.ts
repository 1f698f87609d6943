import { decodeJwt } from 'jose';
import { describe, expect, it } from 'vitest';
import { handleTokenRequest } from '../../src/identity/index.ts';
import { createAgentKey } from '../support/agent-key.ts';
import {
  brokenRunStore,
  createTestAuthority,
  intentField,
  JWT_BEARER,
  openTestRun,
  PUBLIC_URL,
  requestToken,
  type TestAuthority,
} from '../support/authority.ts';

function setup() {
  const authority = createTestAuthority();
  return { authority, key: createAgentKey(authority.clock.now) };
}

function joinToken({ deps, joinTokens }: TestAuthority, index = 0): string {
  const agent = deps.agents.list()[index];
  if (agent === undefined) throw new Error('no agent');
  return joinTokens.issue(agent.name);
}

describe('a token request with an assertion', () => {
  it('opens a run and answers with a DPoP-bound token of at most 300 s', async () => {
    const { authority, key } = setup();
    const answer = await openTestRun(key, authority, { purpose: 'triage', max_calls: 7 });
    expect(answer).toMatchObject({ token_type: 'DPoP', expires_in: 300, scope: 'mcp' });
    const claims = decodeJwt(answer.access_token);
    expect(claims).toMatchObject({
      iss: PUBLIC_URL,
      sub: `spiffe://agents.example.org/agent/ops-desk/run/${answer.sallyport.run}`,
      client_id: 'spiffe://agents.example.org/agent/ops-desk',
      aud: `${PUBLIC_URL}/mcp`,
      cnf: { jkt: key.thumbprint },
      txn: answer.sallyport.run,
      scope: 'mcp',
    });
    expect(claims['authorization_details']).toEqual([
      {
        type: 'sallyport_intent',
        purpose: 'triage',
        tools: ['desk/*', 'files/read_file'],
        max_calls: 7,
        max_depth: 2,
        expires_at: authority.clock.seconds() + 3600,
      },
    ]);
    expect(claims).not.toHaveProperty('act');
  });

  it('writes the journal before the run can be used, with the evidence', async () => {
    const { authority, key } = setup();
    const answer = await openTestRun(key, authority);
    expect(authority.journal.entries).toEqual([{ type: 'opened', run: answer.sallyport.run }]);
    const stored = await authority.deps.runs.find(answer.sallyport.run);
    expect(stored).toMatchObject({ state: 'live', run: { evidence: { attestor: 'join-token' } } });
  });

  it('issues nothing when the journal cannot be written, and says try again', async () => {
    const { authority, key } = setup();
    authority.journal.fail = true;
    await expect(openTestRun(key, authority)).rejects.toThrow('temporarily_unavailable');
    expect(await authority.deps.runs.live()).toEqual([]);
  });

  it('closes in the journal what the store did not open', async () => {
    const authority = createTestAuthority();
    const { runs } = authority.deps;
    const deps = { ...authority.deps, runs: { ...runs, open: brokenRunStore().open } };
    const key = createAgentKey(authority.clock.now);
    await expect(openTestRun(key, { ...authority, deps })).rejects.toThrow('temporarily_unavailable');
    expect(authority.journal.entries.map(({ type }) => type)).toEqual(['opened', 'closed']);
  });

  it('answers a store that fails with temporarily_unavailable, never with invalid_grant', async () => {
    const authority = createTestAuthority({ runs: brokenRunStore() });
    const key = createAgentKey(authority.clock.now);
    await expect(openTestRun(key, authority)).rejects.toThrow('temporarily_unavailable');
  });

  it('never issues a token that outlives the run', async () => {
    const { authority, key } = setup();
    const answer = await openTestRun(key, authority, { purpose: 'triage', expires_in: 20 });
    expect(answer.expires_in).toBe(20);
  });

  it('issues a token for one resource only', async () => {
    const { authority, key } = setup();
    const answer = await openTestRun(key, authority, undefined, { resource: `${PUBLIC_URL}/mcp/desk` });
    expect(decodeJwt(answer.access_token).aud).toBe(`${PUBLIC_URL}/mcp/desk`);
  });

  it.each([
    ['another gateway', 'https://other.example.org/mcp'],
    ['a prefix of ours', `${PUBLIC_URL}/mc`],
    ['a trailing slash', `${PUBLIC_URL}/mcp/`],
    ['an upstream that is not there', `${PUBLIC_URL}/mcp/payroll`],
    ['upper case', `${PUBLIC_URL}/MCP`],
  ])('refuses a resource that is %s', async (_what, resource) => {
    const { authority, key } = setup();
    await expect(openTestRun(key, authority, undefined, { resource })).rejects.toThrow('invalid_target');
  });
});

describe('a declared intent', () => {
  it.each([
    ['more calls', { max_calls: 101 }],
    ['more depth', { max_depth: 3 }],
    ['more time', { expires_in: 3601 }],
    ['a tool the agent has not', { tools: ['files/write_file'] }],
    ['every tool of an upstream of which the agent has one', { tools: ['files/*'] }],
    ['an upstream the agent has not', { tools: ['payroll/*'] }],
    ['a star inside a name', { tools: ['desk/re*'] }],
    ['a negative number', { max_calls: -1 }],
    ['a fraction', { max_calls: 1.5 }],
    ['a number as text', { max_calls: '5' }],
    ['a purpose of another agent', { purpose: 'filing' }],
    ['no purpose', { purpose: undefined }],
    ['a member nobody knows', { max_spend: 5 }],
    ['an expiry in place of a life', { expires_at: 1_900_000_000 }],
    ['another type', { type: 'payment' }],
  ])('is refused for %s', async (_what, members) => {
    const { authority, key } = setup();
    await expect(openTestRun(key, authority, { purpose: 'triage', ...members })).rejects.toThrow(
      'invalid_authorization_details',
    );
    expect(await authority.deps.runs.live()).toEqual([]);
  });

  it.each([
    ['none', undefined],
    ['an empty array', '[]'],
    ['two entries', JSON.stringify([{ type: 'sallyport_intent', purpose: 'triage' }, {}])],
    ['an object', '{"type":"sallyport_intent","purpose":"triage"}'],
    ['a duplicate key', '[{"type":"sallyport_intent","purpose":"triage","max_calls":1,"max_calls":99}]'],
    ['no JSON', 'triage'],
  ])('is refused when it is %s', async (_what, text) => {
    const { authority, key } = setup();
    const form = { grant_type: JWT_BEARER, assertion: joinToken(authority) };
    const answer = await requestToken(
      text === undefined ? form : { ...form, authorization_details: text },
      key,
      authority,
    );
    expect(answer).toMatchObject({ ok: false, error: { error: 'invalid_authorization_details' } });
  });

  it('may be for no tool at all, which is not the same as for any', async () => {
    const { authority, key } = setup();
    const answer = await openTestRun(key, authority, { purpose: 'triage', tools: [] });
    expect(answer.authorization_details).toMatchObject([{ tools: [] }]);
  });
});

describe('renewal', () => {
  it('gives the same run a new token for the same key', async () => {
    const { authority, key } = setup();
    const form = {
      grant_type: JWT_BEARER,
      assertion: joinToken(authority),
      authorization_details: intentField({ purpose: 'triage', max_calls: 5, expires_in: 1200 }),
    };
    const first = await requestToken(form, key, authority);
    authority.clock.advance(150);
    const second = await requestToken(form, key, authority);
    if (!first.ok || !second.ok) throw new Error('refused');
    expect(second.value.sallyport).toEqual(first.value.sallyport);
    expect(second.value.access_token).not.toBe(first.value.access_token);
    expect(authority.journal.entries).toHaveLength(1);
  });

  it('goes on for a join token after its ten minutes, for the run that it opened', async () => {
    const { authority, key } = setup();
    const form = { grant_type: JWT_BEARER, assertion: joinToken(authority) };
    const authorization_details = intentField({ purpose: 'triage' });
    expect((await requestToken({ ...form, authorization_details }, key, authority)).ok).toBe(true);
    authority.clock.advance(1500);
    expect((await requestToken(form, key, authority)).ok).toBe(true);
  });

  it.each([
    ['another purpose', { purpose: 'report' }],
    ['more calls', { purpose: 'triage', max_calls: 100 }],
    ['other tools', { purpose: 'triage', tools: ['desk/*'] }],
    ['a longer life', { purpose: 'triage', expires_in: 3600 }],
  ])('is refused when the intent has %s', async (_what, intent) => {
    const { authority, key } = setup();
    const form = { grant_type: JWT_BEARER, assertion: joinToken(authority) };
    const details = intentField({ purpose: 'triage', max_calls: 5, tools: ['desk/read'], expires_in: 60 });
    await requestToken({ ...form, authorization_details: details }, key, authority);
    const answer = await requestToken(
      { ...form, authorization_details: intentField(intent) },
      key,
      authority,
    );
    expect(answer).toMatchObject({ ok: false, error: { error: 'invalid_authorization_details' } });
  });

  it('is refused for the key of a run that has ended, for good', async () => {
    const { authority, key } = setup();
    const answer = await openTestRun(key, authority);
    await authority.deps.runs.end(answer.sallyport.run, { state: 'ended', by: 'agent', reason: 'done' });
    await expect(openTestRun(key, authority)).rejects.toThrow('invalid_grant');
    authority.clock.advance(90_000);
    await openTestRun(createAgentKey(authority.clock.now), authority); // makes the store forget old runs
    expect(await authority.deps.runs.find(answer.sallyport.run)).toBeUndefined();
    await expect(openTestRun(key, authority)).rejects.toThrow('invalid_grant');
  });

  it('is refused when the time of the run is up', async () => {
    const { authority, key } = setup();
    await openTestRun(key, authority, { purpose: 'triage', expires_in: 60 });
    authority.clock.advance(61);
    await expect(openTestRun(key, authority, { purpose: 'triage', expires_in: 60 })).rejects.toThrow(
      'invalid_grant',
    );
  });
});

describe('A11: a stolen assertion', () => {
  it('opens nothing for another key', async () => {
    const { authority, key } = setup();
    const form = {
      grant_type: JWT_BEARER,
      assertion: joinToken(authority),
      authorization_details: intentField({ purpose: 'triage' }),
    };
    expect((await requestToken(form, key, authority)).ok).toBe(true);
    const thief = createAgentKey(authority.clock.now);
    expect(await requestToken(form, thief, authority)).toMatchObject({
      ok: false,
      error: { error: 'invalid_grant' },
    });
  });

  it('opens one run when two keys race for it', async () => {
    const { authority } = setup();
    const form = {
      grant_type: JWT_BEARER,
      assertion: joinToken(authority),
      authorization_details: intentField({ purpose: 'triage' }),
    };
    const keys = Array.from({ length: 8 }, () => createAgentKey(authority.clock.now));
    const answers = await Promise.all(keys.map((key) => requestToken(form, key, authority)));
    expect(answers.filter(({ ok }) => ok)).toHaveLength(1);
  });

  it('opens one run when one key sends it many times at once', async () => {
    const { authority, key } = setup();
    const form = {
      grant_type: JWT_BEARER,
      assertion: joinToken(authority),
      authorization_details: intentField({ purpose: 'triage' }),
    };
    await Promise.all(Array.from({ length: 8 }, () => requestToken(form, key, authority)));
    expect(await authority.deps.runs.live()).toHaveLength(1);
    const open = authority.journal.entries.filter(({ type }) => type === 'opened').length;
    const closed = authority.journal.entries.filter(({ type }) => type === 'closed').length;
    expect(open - closed).toBe(1);
  });

  it('opens nothing without a proof, or with a proof for another endpoint', async () => {
    const { authority, key } = setup();
    const form = new Map([
      ['grant_type', JWT_BEARER],
      ['assertion', joinToken(authority)],
      ['authorization_details', intentField({ purpose: 'triage' })],
    ]);
    for (const proof of [undefined, key.prove({ url: `${PUBLIC_URL}/oauth/revoke` })]) {
      const answer = await handleTokenRequest(form, { dpop: proof }, authority.deps);
      expect(answer).toMatchObject({ ok: false, error: { error: 'invalid_dpop_proof' } });
    }
  });

  it('opens nothing with a proof that was used before', async () => {
    const { authority, key } = setup();
    const proof = key.prove({ url: authority.deps.urls.tokenEndpoint });
    const form = new Map([
      ['grant_type', JWT_BEARER],
      ['assertion', joinToken(authority)],
      ['authorization_details', intentField({ purpose: 'triage' })],
    ]);
    expect((await handleTokenRequest(form, { dpop: proof }, authority.deps)).ok).toBe(true);
    const again = await handleTokenRequest(form, { dpop: proof }, authority.deps);
    expect(again).toMatchObject({ ok: false, error: { error: 'invalid_dpop_proof' } });
  });
});

describe('the memory for proofs', () => {
  it('cannot be filled by someone who has nothing but keys', async () => {
    const { authority, key } = setup();
    const claims: string[] = [];
    const singleUse = {
      ...authority.deps.singleUse,
      claim: async (kind: string) => {
        claims.push(kind);
        return 'first' as const;
      },
    };
    const deps = { ...authority.deps, singleUse };
    for (const assertion of ['sjt_guess', 'a.b.c']) {
      await requestToken({ grant_type: JWT_BEARER, assertion }, key, { ...authority, deps });
    }
    expect(claims).toEqual([]);
  });
});

describe('the form of a token request', () => {
  it.each([
    ['no grant type', { assertion: 'x' }, 'invalid_request'],
    ['another grant type', { grant_type: 'authorization_code' }, 'unsupported_grant_type'],
    ['the password grant', { grant_type: 'password' }, 'unsupported_grant_type'],
    ['no assertion', { grant_type: JWT_BEARER }, 'invalid_request'],
    ['an assertion nobody knows', { grant_type: JWT_BEARER, assertion: 'a.b.c' }, 'invalid_grant'],
    [
      'a huge assertion',
      { grant_type: JWT_BEARER, assertion: `a.${'b'.repeat(100_000)}.c` },
      'invalid_grant',
    ],
    ['another scope', { grant_type: JWT_BEARER, assertion: 'x', scope: 'mcp admin' }, 'invalid_scope'],
    [
      'an unknown client',
      { grant_type: JWT_BEARER, assertion: 'sjt_x', client_id: 'nobody' },
      'unauthorized_client',
    ],
    ['a subject token', { grant_type: JWT_BEARER, assertion: 'x', subject_token: 'y' }, 'invalid_request'],
  ])('is refused with %s', async (_what, form, error) => {
    const { authority, key } = setup();
    expect(await requestToken(form as Record<string, string>, key, authority)).toMatchObject({
      ok: false,
      error: { error },
    });
  });

  it('takes client_id for what the agent must be', async () => {
    const { authority, key } = setup();
    const form = {
      grant_type: JWT_BEARER,
      assertion: joinToken(authority),
      authorization_details: intentField({ purpose: 'triage' }),
    };
    const other = await requestToken({ ...form, client_id: 'clerk' }, key, authority);
    expect(other).toMatchObject({ ok: false, error: { error: 'invalid_grant' } });
    const client_id = 'spiffe://agents.example.org/agent/ops-desk';
    expect((await requestToken({ ...form, client_id }, key, authority)).ok).toBe(true);
  });
});
