import { decodeJwt } from 'jose';
import { describe, expect, it } from 'vitest';
import { handleTokenRequest } from '../../src/identity/index.ts';
import { createEmbeddedSingleUse } from '../../src/storage/embedded/single-use.ts';
import { type AgentKey, base64url, createAgentKey } from '../support/agent-key.ts';
import {
  createTestAuthority,
  intentField,
  JWT_BEARER,
  openTestRun,
  redeemGrant,
  requestGrant,
  requestToken,
  TOKEN_EXCHANGE,
  unwrap,
} from '../support/authority.ts';

async function setup(intent: Record<string, unknown> = { purpose: 'triage', max_calls: 50 }) {
  const authority = createTestAuthority();
  const newKey = (): AgentKey => createAgentKey(authority.clock.now);
  const parentKey = newKey();
  const parent = await openTestRun(parentKey, authority, intent);
  const grantFor = (wanted?: Record<string, unknown>) =>
    requestGrant(parent.access_token, parentKey, authority, wanted);
  return { authority, newKey, parentKey, parent, grantFor };
}

const refusedAs = (error: string) => ({ ok: false, error: { error } });

describe('delegation', () => {
  it('gives a child a run of its own, with its own key and the chain it acts in', async () => {
    const { authority, newKey, parent, grantFor } = await setup();
    const grant = unwrap(
      await grantFor({
        purpose: 'triage',
        tools: ['desk/read'],
        max_calls: 10,
        max_depth: 1,
        expires_in: 600,
      }),
    );
    expect(grant).toMatchObject({ token_type: 'N_A', expires_in: 60 });
    const childKey = newKey();
    const child = unwrap(await redeemGrant(grant.access_token, childKey, authority));
    const claims = decodeJwt(child.access_token);
    const parentId = decodeJwt(parent.access_token).sub;
    expect(child.sallyport).toEqual({ run: child.sallyport.run, root: parent.sallyport.run, depth: 1 });
    expect(claims).toMatchObject({
      cnf: { jkt: childKey.thumbprint },
      txn: parent.sallyport.run,
      act: { sub: claims.sub, act: { sub: parentId } },
      authorization_details: [{ tools: ['desk/read'], max_calls: 10, max_depth: 1 }],
    });
    const stored = await authority.deps.runs.find(child.sallyport.run);
    expect(stored?.run).toMatchObject({
      parent: parent.sallyport.run,
      evidence: { attestor: 'delegation', claims: { parent: parent.sallyport.run } },
    });
  });

  it('lets a child delegate further, one level less each time', async () => {
    const { authority, newKey, grantFor } = await setup();
    const [childKey, grandchildKey] = [newKey(), newKey()];
    const grant = unwrap(await grantFor({ purpose: 'triage', max_calls: 20 }));
    const child = unwrap(await redeemGrant(grant.access_token, childKey, authority));
    const second = unwrap(await requestGrant(child.access_token, childKey, authority));
    const grandchild = unwrap(await redeemGrant(second.access_token, grandchildKey, authority));
    expect(grandchild.sallyport.depth).toBe(2);
    expect(decodeJwt(grandchild.access_token)).toMatchObject({
      act: { act: { act: { sub: expect.any(String) } } },
    });
    const third = await requestGrant(grandchild.access_token, grandchildKey, authority);
    expect(third).toMatchObject(refusedAs('invalid_authorization_details'));
  });

  it('takes the same intent again when the child redeems, as a client that declares it twice does', async () => {
    const { authority, newKey, grantFor } = await setup();
    const intent = { purpose: 'triage', tools: ['desk/read'], max_calls: 5, expires_in: 600 };
    const grant = unwrap(await grantFor(intent));
    authority.clock.advance(3);
    const form = { authorization_details: intentField(intent) };
    expect((await redeemGrant(grant.access_token, newKey(), authority, form)).ok).toBe(true);
  });

  it('renews a child with a fresh grant of the same parent, and keeps the run', async () => {
    const { authority, newKey, grantFor } = await setup();
    const childKey = newKey();
    const first = unwrap(await redeemGrant(unwrap(await grantFor()).access_token, childKey, authority));
    authority.clock.advance(150);
    const second = unwrap(await redeemGrant(unwrap(await grantFor()).access_token, childKey, authority));
    expect(second.sallyport).toEqual(first.sallyport);
  });

  it('ends a child no later than its parent', async () => {
    const { authority, newKey, grantFor } = await setup({ purpose: 'triage', expires_in: 100 });
    const grant = unwrap(await grantFor({ purpose: 'triage', max_calls: 1 }));
    authority.clock.advance(30);
    const child = unwrap(await redeemGrant(grant.access_token, newKey(), authority));
    expect(child.expires_in).toBe(70);
  });
});

describe('A13: a sub-agent that wants more than its parent has', () => {
  it.each([
    ['a tool the parent has not', { tools: ['payroll/pay'] }],
    ['every tool where the parent has one', { tools: ['files/*'] }],
    ['one tool too many', { tools: ['desk/read', 'desk/write'] }],
    ['more calls', { max_calls: 51 }],
    ['as much depth as the parent', { max_depth: 2 }],
    ['a longer life', { expires_in: 1201 }],
    ['another purpose that the agent may declare', { purpose: 'report' }],
    ['an unknown constraint', { max_bytes: 5 }],
  ])('gets no grant for %s', async (_what, wanted) => {
    const { grantFor } = await setup({
      purpose: 'triage',
      tools: ['desk/read', 'files/read_file'],
      max_calls: 50,
      expires_in: 1200,
    });
    const answer = await grantFor({ purpose: 'triage', ...wanted });
    expect(answer).toMatchObject(refusedAs('invalid_authorization_details'));
  });

  it.each([
    ['a tool', { tools: ['desk/write'] }],
    ['calls', { max_calls: 6 }],
    ['depth', { max_depth: 1 }],
    ['time', { expires_in: 301 }],
    ['purpose', { purpose: 'report' }],
    ['another task', { task_digest: 'B'.repeat(43) }],
  ])('gets no run for more %s than the grant says', async (_what, wanted) => {
    const { authority, newKey, grantFor } = await setup();
    const grant = unwrap(
      await grantFor({
        purpose: 'triage',
        task_digest: 'A'.repeat(43),
        tools: ['desk/read'],
        max_calls: 5,
        max_depth: 0,
        expires_in: 300,
      }),
    );
    const form = { authorization_details: intentField({ purpose: 'triage', ...wanted }) };
    const answer = await redeemGrant(grant.access_token, newKey(), authority, form);
    expect(answer).toMatchObject(refusedAs('invalid_authorization_details'));
    expect(await authority.deps.runs.live()).toHaveLength(1);
  });

  it('gets nothing from an agent that may not delegate', async () => {
    const { grantFor } = await setup({ purpose: 'triage', max_depth: 0 });
    expect(await grantFor()).toMatchObject(refusedAs('invalid_authorization_details'));
  });

  it('cannot leave out the subject token', async () => {
    const { authority, parentKey } = await setup();
    const form = { grant_type: TOKEN_EXCHANGE, authorization_details: intentField({ purpose: 'triage' }) };
    expect(await requestToken(form, parentKey, authority)).toMatchObject(refusedAs('invalid_request'));
  });

  it('cannot bring an actor of its own choice', async () => {
    const { authority, parent, parentKey } = await setup();
    const form = { actor_token: parent.access_token };
    const answer = await requestGrant(parent.access_token, parentKey, authority, { purpose: 'triage' }, form);
    expect(answer).toMatchObject(refusedAs('invalid_request'));
  });

  it('cannot forge a grant', async () => {
    const { authority, newKey, grantFor } = await setup();
    const grant = unwrap(await grantFor()).access_token;
    const [header = '', payload = '', signature = ''] = grant.split('.');
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>;
    const widened = base64url(
      JSON.stringify({
        ...claims,
        authorization_details: [
          {
            type: 'sallyport_intent',
            purpose: 'triage',
            tools: ['desk/*'],
            max_calls: 50,
            max_depth: 1,
            expires_in: 99,
          },
        ],
      }),
    );
    const answer = await redeemGrant(`${header}.${widened}.${signature}`, newKey(), authority);
    expect(answer).toMatchObject(refusedAs('invalid_grant'));
  });

  it('cannot overspend with a hundred children at once', async () => {
    const { authority, newKey, grantFor } = await setup();
    const grants = await Promise.all(
      Array.from({ length: 100 }, () => grantFor({ purpose: 'triage', max_calls: 10 })),
    );
    const answers = await Promise.all(
      grants.map((grant) => redeemGrant(unwrap(grant).access_token, newKey(), authority)),
    );
    expect(answers.filter(({ ok }) => ok)).toHaveLength(5);
    expect(await authority.deps.runs.live()).toHaveLength(6);
  });

  it('leaves its parent without the calls it was given', async () => {
    const { authority, newKey, grantFor } = await setup({ purpose: 'triage', max_calls: 5 });
    await redeemGrant(
      unwrap(await grantFor({ purpose: 'triage', max_calls: 4 })).access_token,
      newKey(),
      authority,
    );
    const grantAgain = async (calls: number) =>
      redeemGrant(
        unwrap(await grantFor({ purpose: 'triage', max_calls: calls })).access_token,
        newKey(),
        authority,
      );
    expect(await grantAgain(2)).toMatchObject({ ok: false, error: { error: 'invalid_grant' } });
    expect(await grantAgain(1)).toMatchObject({ ok: true });
    expect(await grantAgain(1)).toMatchObject({ ok: false });
  });
});

describe('A14: a delegation grant', () => {
  it('is good for one child', async () => {
    const { authority, newKey, grantFor } = await setup();
    const grant = unwrap(await grantFor()).access_token;
    expect((await redeemGrant(grant, newKey(), authority)).ok).toBe(true);
    expect(await redeemGrant(grant, newKey(), authority)).toMatchObject(refusedAs('invalid_grant'));
  });

  it('is good for one of many that race for it', async () => {
    const { authority, newKey, grantFor } = await setup();
    const grant = unwrap(await grantFor()).access_token;
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => redeemGrant(grant, newKey(), authority)),
    );
    expect(answers.filter(({ ok }) => ok)).toHaveLength(1);
  });

  it('is no longer good after a minute', async () => {
    const { authority, newKey, grantFor } = await setup();
    const grant = unwrap(await grantFor()).access_token;
    authority.clock.advance(60);
    expect(await redeemGrant(grant, newKey(), authority)).toMatchObject(refusedAs('invalid_grant'));
  });

  it('is not good when the parent has ended since', async () => {
    const { authority, newKey, grantFor, parent } = await setup();
    const grant = unwrap(await grantFor()).access_token;
    await authority.deps.runs.end(parent.sallyport.run, { state: 'ended', by: 'agent', reason: 'done' });
    expect(await redeemGrant(grant, newKey(), authority)).toMatchObject(refusedAs('invalid_grant'));
  });

  it('is not good after a restart, which forgets what was redeemed', async () => {
    const { authority, newKey, grantFor } = await setup();
    const grant = unwrap(await grantFor()).access_token;
    expect((await redeemGrant(grant, newKey(), authority)).ok).toBe(true);
    const singleUse = createEmbeddedSingleUse({ now: authority.clock.now });
    const restarted = { ...authority, deps: { ...authority.deps, singleUse } };
    expect(await redeemGrant(grant, newKey(), restarted)).toMatchObject(refusedAs('invalid_grant'));
  });

  it('cannot be redeemed by the key of the parent, or of any ancestor', async () => {
    const { authority, newKey, grantFor, parentKey } = await setup();
    const grant = unwrap(await grantFor()).access_token;
    expect(await redeemGrant(grant, parentKey, authority)).toMatchObject({
      error: { error: 'invalid_grant', description: expect.stringContaining('needs its own key') },
    });
    const childKey = newKey();
    const child = unwrap(await redeemGrant(grant, childKey, authority));
    const second = unwrap(await requestGrant(child.access_token, childKey, authority)).access_token;
    expect(await redeemGrant(second, parentKey, authority)).toMatchObject(refusedAs('invalid_grant'));
  });

  it('cannot be redeemed by the key of an unrelated run', async () => {
    const { authority, newKey, grantFor } = await setup();
    const otherKey = newKey();
    await openTestRun(otherKey, authority);
    const grant = unwrap(await grantFor()).access_token;
    expect(await redeemGrant(grant, otherKey, authority)).toMatchObject(refusedAs('invalid_grant'));
  });

  it('is given to the key of the subject token only', async () => {
    const { authority, newKey, parent } = await setup();
    const answer = await requestGrant(parent.access_token, newKey(), authority);
    expect(answer).toMatchObject(refusedAs('invalid_dpop_proof'));
  });

  it('is given once for a proof', async () => {
    const { authority, parent, parentKey } = await setup();
    const proof = parentKey.prove({ url: authority.deps.urls.tokenEndpoint, token: parent.access_token });
    const form = new Map([
      ['grant_type', TOKEN_EXCHANGE],
      ['subject_token', parent.access_token],
      ['subject_token_type', 'urn:ietf:params:oauth:token-type:access_token'],
      ['requested_token_type', 'urn:ietf:params:oauth:token-type:jwt'],
      ['authorization_details', intentField({ purpose: 'triage', max_calls: 1 })],
    ]);
    expect((await handleTokenRequest(form, { dpop: proof }, authority.deps)).ok).toBe(true);
    expect(await handleTokenRequest(form, { dpop: proof }, authority.deps)).toMatchObject(
      refusedAs('invalid_dpop_proof'),
    );
  });

  it('is not given for a grant, a call token or an expired token as subject', async () => {
    const { authority, parent, parentKey, grantFor } = await setup();
    const grant = unwrap(await grantFor()).access_token;
    expect(await requestGrant(grant, parentKey, authority)).toMatchObject(refusedAs('invalid_request'));
    authority.clock.advance(301);
    expect(await requestGrant(parent.access_token, parentKey, authority)).toMatchObject(
      refusedAs('invalid_request'),
    );
  });

  it('does not serve as a run token', async () => {
    const { authority, grantFor } = await setup();
    const grant = unwrap(await grantFor()).access_token;
    expect(authority.deps.tokens.verify(grant, authority.deps.urls.resources)).toMatchObject({
      error: 'wrong_type',
    });
  });

  it('is not what a run token serves as', async () => {
    const { authority, newKey, parent } = await setup();
    const form = { grant_type: JWT_BEARER, assertion: parent.access_token };
    expect(await requestToken(form, newKey(), authority)).toMatchObject(refusedAs('invalid_grant'));
  });
});
