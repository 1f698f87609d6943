import { err, ok, type Result } from '../base/index.ts';
import { parseAddCheckpoint, type VerifierKey, type WitnessRefusal } from '../intent-log/index.ts';
import { type CosignDeps, cosign } from '../witness/index.ts';
import { storedKeys } from './known-keys.ts';
import { type Intake, type TakeInDeps, takeIn } from './take-in.ts';

/** The intake of one origin: one pass after another, whoever asks for it. */
export type OriginIntake = {
  readonly origin: string;
  /** Takes in what there is. Rejects when the store cannot be used. */
  pass(): Promise<Intake>;
  /**
   * Takes in everything up to a checkpoint that the log has signed, then does something before anything else is taken
   * in, with the keys that the log may be signed with from there on. `not_signed`: by none that stored records lead to;
   * for that nobody is asked. `not_held`: its records cannot be had.
   */
  whenHeld<T>(
    note: string,
    then: (keys: readonly VerifierKey[]) => T,
  ): Promise<Result<T, 'not_signed' | 'not_held'>>;
};

export function createIntake(deps: TakeInDeps): OriginIntake {
  let last: Promise<unknown> = Promise.resolve();

  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = last.then(work, work);
    last = turn.catch(() => undefined);
    return turn;
  }

  async function hold(note: string): Promise<Result<readonly VerifierKey[], 'not_signed' | 'not_held'>> {
    const keys = await storedKeys(deps);
    const signed = keys.verify(note);
    if (!signed.ok) return err('not_signed');
    const { range, alarm } = await deps.store.position(deps.origin);
    if (alarm !== undefined) return err('not_held');
    // An older one may be sent by anybody who has seen it: that is no rollback.
    if (signed.value.size <= range.size) return ok(keys.current);
    const taken = await takeIn(deps, note);
    return taken.kind === 'current' ? ok((await storedKeys(deps)).current) : err('not_held');
  }

  return {
    origin: deps.origin,
    pass: () => inTurn(() => takeIn(deps)),
    whenHeld: (note, then) =>
      inTurn(async () => {
        const held = await hold(note);
        return held.ok ? ok(then(held.value)) : held;
      }),
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
  const answer = await intake
    .whenHeld(request.note, (logs) => cosign(body, { ...deps, logs }))
    .catch(() => err('not_held' as const));
  return answer.ok ? answer.value : err({ reason: answer.error });
}
