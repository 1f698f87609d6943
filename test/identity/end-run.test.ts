import { describe, expect, it } from 'vitest';
import { endExpiredRuns, endRun, handleRevocation } from '../../src/identity/index.ts';
import { createAgentKey } from '../support/agent-key.ts';
import {
  brokenRunStore,
  createTestAuthority,
  openTestRun,
  PUBLIC_URL,
  redeemGrant,
  requestGrant,
  unwrap,
} from '../support/authority.ts';

async function setup() {
  const authority = createTestAuthority();
  const key = createAgentKey(authority.clock.now);
  const answer = await openTestRun(key, authority);
  const revoke = (form: Record<string, string>, by = key, deps = authority.deps) => {
    const proof = by.prove({
      url: `${PUBLIC_URL}/oauth/revoke`,
      ...('token' in form ? { token: form['token'] } : {}),
    });
    return handleRevocation(new Map(Object.entries(form)), { dpop: proof }, deps);
  };
  return { authority, key, token: answer.access_token, run: answer.sallyport.run, revoke };
}

const ending = { state: 'revoked', by: 'operator:robin', reason: 'test' } as const;

describe('ending a run', () => {
  it('ends its descendants with it and writes each down', async () => {
    const { authority, key, token, run } = await setup();
    const grant = unwrap(await requestGrant(token, key, authority)).access_token;
    const child = unwrap(await redeemGrant(grant, createAgentKey(authority.clock.now), authority));
    const ended = await endRun(run, ending, authority.deps);
    expect(ended.map(({ id }) => id)).toEqual([run, child.sallyport.run]);
    expect(authority.journal.entries.slice(-2)).toEqual([
      { type: 'closed', run, ending },
      { type: 'closed', run: child.sallyport.run, ending },
    ]);
  });

  it('writes down nothing the second time', async () => {
    const { authority, run } = await setup();
    await endRun(run, ending, authority.deps);
    expect(await endRun(run, { ...ending, by: 'agent' }, authority.deps)).toEqual([]);
    expect(authority.journal.entries).toHaveLength(2);
  });

  it('is in force also when it cannot be written down, and says that it was not', async () => {
    const { authority, run } = await setup();
    authority.journal.fail = true;
    await expect(endRun(run, ending, authority.deps)).rejects.toThrow('disk is full');
    expect((await authority.deps.runs.find(run))?.state).toBe('revoked');
  });

  it('comes by itself when the time is up', async () => {
    const { authority, run } = await setup();
    authority.clock.advance(3599);
    expect(await endExpiredRuns(authority.deps)).toEqual([]);
    authority.clock.advance(1);
    expect((await endExpiredRuns(authority.deps)).map(({ id }) => id)).toEqual([run]);
    expect(authority.journal.entries.at(-1)).toMatchObject({ type: 'closed', ending: { state: 'ended' } });
    expect(await endExpiredRuns(authority.deps)).toEqual([]);
  });
});

describe('the revocation endpoint', () => {
  it('ends the run of the token', async () => {
    const { authority, token, run, revoke } = await setup();
    expect(unwrap(await revoke({ token })).map(({ id }) => id)).toEqual([run]);
    expect((await authority.deps.runs.find(run))?.state).toBe('ended');
    expect(authority.journal.entries.at(-1)).toMatchObject({ type: 'closed', run, ending: { by: 'agent' } });
  });

  it('ends it with a token that has expired', async () => {
    const { authority, token, run, revoke } = await setup();
    authority.clock.advance(400);
    expect(unwrap(await revoke({ token })).map(({ id }) => id)).toEqual([run]);
  });

  it('says yes to what is over or unknown, and ends nothing', async () => {
    const { token, revoke } = await setup();
    await revoke({ token });
    expect(unwrap(await revoke({ token }))).toEqual([]);
    expect(unwrap(await revoke({ token: 'unknown' }))).toEqual([]);
  });

  it('ends nothing for a thief of the token', async () => {
    const { authority, token, run, revoke } = await setup();
    const answer = await revoke({ token }, createAgentKey(authority.clock.now));
    expect(answer).toMatchObject({ ok: false, error: { error: 'invalid_dpop_proof' } });
    expect((await authority.deps.runs.find(run))?.state).toBe('live');
  });

  it('takes a proof once', async () => {
    const { authority, key, token } = await setup();
    const proof = key.prove({ url: `${PUBLIC_URL}/oauth/revoke` });
    const form = new Map([['token', token]]);
    expect((await handleRevocation(form, { dpop: proof }, authority.deps)).ok).toBe(true);
    expect(await handleRevocation(form, { dpop: proof }, authority.deps)).toMatchObject({
      error: { error: 'invalid_dpop_proof' },
    });
  });

  it('ends nothing without a proof, or without a token', async () => {
    const { authority, token, revoke } = await setup();
    const unproven = await handleRevocation(new Map([['token', token]]), { dpop: undefined }, authority.deps);
    expect(unproven).toMatchObject({ ok: false, error: { error: 'invalid_dpop_proof' } });
    expect(await revoke({})).toMatchObject({ ok: false, error: { error: 'invalid_request' } });
    expect(await authority.deps.runs.live()).toHaveLength(1);
  });

  it('claims no success when store or journal fails', async () => {
    const { authority, token, revoke, key } = await setup();
    const deps = { ...authority.deps, runs: brokenRunStore() };
    expect(await revoke({ token }, key, deps)).toMatchObject({ error: { error: 'temporarily_unavailable' } });
    authority.journal.fail = true;
    expect(await revoke({ token })).toMatchObject({ error: { error: 'temporarily_unavailable' } });
  });
});
