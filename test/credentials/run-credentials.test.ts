import { describe, expect, it } from 'vitest';
import { err, ok, parseUpstreamName, type Result, type UpstreamName } from '../../src/base/index.ts';
import { createRunCredentials, type Issued, type RunCredentialIssuer } from '../../src/credentials/index.ts';
import type {
  CredentialFailure,
  CredentialJournal,
  CredentialRequest,
  Run,
} from '../../src/identity/index.ts';
import { aRun } from '../support/a-run.ts';
import { manualClock } from '../support/manual-clock.ts';

const UPSTREAM = parseUpstreamName('desk') as UpstreamName;

/** An authority that hands out numbered secrets and remembers what was taken back. */
function setup(change: Partial<Issued> = {}) {
  const clock = manualClock();
  const issuedTo: string[] = [];
  const revoked: string[] = [];
  const records: string[] = [];
  const state = {
    failures: 0,
    journalFails: false,
    answer: undefined as Promise<Result<Issued, CredentialFailure>> | undefined,
  };
  const issuer: RunCredentialIssuer = {
    kind: 'token-exchange',
    async issue({ chain }) {
      issuedTo.push(chain[0].id);
      const id = `c${issuedTo.length}`;
      return (
        state.answer ??
        ok({
          kind: 'token-exchange',
          id,
          expiresAt: clock.seconds() + 100,
          reuseUntil: clock.seconds() + 50,
          authorization: `Bearer secret-${id}`,
          async revoke() {
            if (state.failures-- > 0) throw new Error('down');
            revoked.push(id);
          },
          ...change,
        })
      );
    },
  };
  const journal: CredentialJournal = {
    async issued(run, upstream, { id, kind }) {
      if (state.journalFails) throw new Error('disk is full');
      records.push(`issued ${run} ${upstream} ${kind} ${id}`);
    },
    async revoked(_run, _upstream, { id }, failure) {
      records.push(`revoked ${id}${failure === undefined ? '' : `: ${failure}`}`);
    },
  };
  const pause = async (): Promise<void> => undefined;
  const source = createRunCredentials(issuer, { upstream: UPSTREAM, journal, now: clock.now, pause });
  const obtain = async (run: Run) =>
    source.obtain({ caller: { chain: [run] } } as unknown as CredentialRequest);
  return { clock, source, obtain, issuedTo, revoked, records, state };
}

describe('a credential that outlives the call', () => {
  it('is given to further calls of the run until half its life is over, and then renewed', async () => {
    const { obtain, clock, issuedTo } = setup();
    const run = aRun();
    expect(await obtain(run)).toMatchObject({ ok: true, value: { id: 'c1' } });
    clock.advance(49);
    expect(await obtain(run)).toMatchObject({ ok: true, value: { id: 'c1' } });
    clock.advance(1);
    expect(await obtain(run)).toMatchObject({ ok: true, value: { id: 'c2' } });
    expect(issuedTo).toEqual([run.id, run.id]);
  });

  it('is asked for once by many calls at once', async () => {
    const { obtain, issuedTo } = setup();
    const run = aRun();
    const answers = await Promise.all(Array.from({ length: 20 }, () => obtain(run)));
    expect(new Set(answers.map((answer) => answer.ok && answer.value?.id))).toEqual(new Set(['c1']));
    expect(issuedTo).toHaveLength(1);
  });

  it('is never shared between runs', async () => {
    const { obtain, issuedTo } = setup();
    const [one, other] = [aRun(), aRun()];
    await obtain(one);
    expect(await obtain(other)).toMatchObject({ ok: true, value: { id: 'c2' } });
    expect(issuedTo).toEqual([one.id, other.id]);
  });

  it('is written down before it is used, and is taken back when it cannot be', async () => {
    const { obtain, records, state, revoked } = setup();
    const run = aRun();
    state.journalFails = true;
    expect(await obtain(run)).toMatchObject({ ok: false });
    expect(revoked).toEqual(['c1']);
    state.journalFails = false;
    await obtain(run);
    expect(records.at(-1)).toBe(`issued ${run.id} desk token-exchange c2`);
  });

  it('is taken back when its run ends, all that is still good of it', async () => {
    const { obtain, source, clock, revoked, records } = setup();
    const run = aRun();
    for (const seconds of [60, 60, 0]) {
      await obtain(run);
      clock.advance(seconds);
    }
    await source.endRun(run.id);
    expect(revoked).toEqual(['c2', 'c3']); // c1 has expired
    expect(records.slice(-2)).toEqual(['revoked c2', 'revoked c3']);
  });

  it('is taken back even after its time where something of it stays', async () => {
    const { obtain, source, clock, revoked } = setup({ lingers: true });
    const run = aRun();
    await obtain(run);
    clock.advance(1000);
    await source.endRun(run.id);
    expect(revoked).toEqual(['c1']);
  });

  it('is not given to a run that is over', async () => {
    const { obtain, source, issuedTo } = setup();
    const run = aRun();
    await source.endRun(run.id);
    expect(await obtain(run)).toEqual({ ok: false, error: { detail: 'the run is over' } });
    expect(issuedTo).toEqual([]);
  });

  it('is not used when the run ends while it is being issued: it is taken back at once', async () => {
    const { obtain, source, state, revoked, records } = setup();
    const run = aRun();
    let answer = (_: Result<Issued, CredentialFailure>): void => undefined;
    state.answer = new Promise((resolve) => {
      answer = resolve;
    });
    const obtaining = obtain(run);
    const ending = source.endRun(run.id);
    answer(
      ok({
        kind: 'token-exchange',
        id: 'late',
        expiresAt: 4_000_000_000,
        reuseUntil: 4_000_000_000,
        revoke: async () => void revoked.push('late'),
      }),
    );
    expect(await obtaining).toEqual({ ok: false, error: { detail: 'the run is over' } });
    await ending;
    expect(revoked).toEqual(['late']);
    expect(records).toEqual(['revoked late']);
  });

  it('is tried to be taken back more than once, and the log says when that was in vain', async () => {
    const { obtain, source, state, revoked, records } = setup();
    const [lucky, unlucky] = [aRun(), aRun()];
    await obtain(lucky);
    await obtain(unlucky);
    state.failures = 2;
    await source.endRun(lucky.id);
    expect(revoked).toEqual(['c1']);
    state.failures = 3;
    await expect(source.endRun(unlucky.id)).rejects.toThrow('c2: down');
    expect(records.at(-1)).toBe('revoked c2: down');
  });

  it('that cannot be taken back says so in the log', async () => {
    const { obtain, source, records } = setup({ revoke: undefined as never });
    const run = aRun();
    await obtain(run);
    await source.endRun(run.id);
    expect(records.at(-1)).toBe('revoked c1: this kind cannot be revoked');
  });

  it('is a refusal when the authority refuses, throws, or gives one that has expired', async () => {
    const { obtain, state } = setup();
    const run = aRun();
    state.answer = Promise.resolve(err({ detail: 'no' }));
    expect(await obtain(run)).toEqual({ ok: false, error: { detail: 'no' } });
    state.answer = Promise.reject(new TypeError('secret in a message'));
    expect(await obtain(run)).toEqual({ ok: false, error: { detail: 'the authority failed (TypeError)' } });
    state.answer = Promise.resolve(ok({ kind: 'token-exchange', id: 'x', expiresAt: 1, reuseUntil: 9e9 }));
    expect(await obtain(run)).toMatchObject({ ok: false });
    state.answer = undefined;
    expect(await obtain(run)).toMatchObject({ ok: true });
  });
});
