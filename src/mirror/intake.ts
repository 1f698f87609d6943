import { err, type Result } from '../base/index.ts';
import { parseAddCheckpoint, verifyCheckpoint, type WitnessRefusal } from '../intent-log/index.ts';
import { type CosignDeps, cosign } from '../witness/index.ts';
import { type Intake, type TakeInDeps, takeIn } from './take-in.ts';

/** The intake of one origin: one pass after another, whoever asks for it. */
export type OriginIntake = {
  readonly origin: string;
  /** Takes in what there is. Rejects when the store cannot be used. */
  pass(): Promise<Intake>;
  /**
   * Takes in everything up to a checkpoint that the log has signed, then does something before anything else is taken
   * in. Undefined when the records cannot be had.
   */
  whenHeld<T>(note: string, then: () => T): Promise<T | undefined>;
};

export function createIntake(deps: TakeInDeps): OriginIntake {
  let last: Promise<unknown> = Promise.resolve();

  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = last.then(work, work);
    last = turn.catch(() => undefined);
    return turn;
  }

  async function isHeld(note: string): Promise<boolean> {
    const signed = deps.keys.map((key) => verifyCheckpoint(note, key)).find(({ ok }) => ok);
    if (signed?.ok !== true) return false;
    const { range, alarm } = await deps.store.position(deps.origin);
    if (alarm !== undefined) return false;
    // An older one may be sent by anybody who has seen it: that is no rollback.
    if (signed.value.size <= range.size) return true;
    return (await takeIn(deps, note)).kind === 'current';
  }

  return {
    origin: deps.origin,
    pass: () => inTurn(() => takeIn(deps)),
    whenHeld: (note, then) => inTurn(async () => ((await isHeld(note)) ? then() : undefined)),
  };
}

/** Answers an `add-checkpoint` request as a witness that cosigns only what it holds. */
export async function cosignHeld(
  body: string,
  intakes: readonly OriginIntake[],
  deps: CosignDeps,
): Promise<Result<string, WitnessRefusal>> {
  const request = parseAddCheckpoint(body);
  const intake = intakes.find(({ origin }) => origin === request?.head.origin);
  if (request === undefined || intake === undefined) return cosign(body, deps); // which says why not
  const isSigned = deps.logs.some((key) => verifyCheckpoint(request.note, key).ok);
  if (!isSigned) return cosign(body, deps);
  const answer = await intake.whenHeld(request.note, () => cosign(body, deps)).catch(() => undefined);
  return answer ?? err({ reason: 'not_held' });
}
