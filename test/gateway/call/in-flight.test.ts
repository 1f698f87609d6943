import { describe, expect, it } from 'vitest';
import { createInFlight } from '../../../src/gateway/call/in-flight.ts';
import { aChildOf, aRun } from '../../support/a-run.ts';

const stays = new AbortController().signal;

describe('what a run has under way', () => {
  it('is aborted when the run ends, and nothing of others', () => {
    const inFlight = createInFlight();
    const [run, other] = [aRun(), aRun()];
    const mine = inFlight.enter([run], 'desk', stays);
    const theirs = inFlight.enter([other], 'desk', stays);
    inFlight.abortRun(run.id);
    expect(mine.signal.aborted).toBe(true);
    expect(theirs.signal.aborted).toBe(false);
  });

  it('is aborted when it comes in just after the end of the run or of an ancestor', () => {
    const inFlight = createInFlight();
    const parent = aRun();
    const child = aChildOf(parent);
    inFlight.abortRun(parent.id);
    expect(inFlight.enter([parent], 'desk', stays).signal.aborted).toBe(true);
    expect(inFlight.enter([child, parent], 'desk', stays).signal.aborted).toBe(true);
  });

  it('is forgotten when it leaves, once', () => {
    const inFlight = createInFlight();
    const { leave } = inFlight.enter([aRun()], 'desk', stays);
    expect(inFlight.size).toBe(1);
    leave();
    leave();
    expect(inFlight.size).toBe(0);
  });
});
