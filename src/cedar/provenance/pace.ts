/** A long piece of work that stops again and again, so that others get their turn. */
export type Turns<T> = Generator<undefined, T, void>;

/** Counts what was looked at, in characters; true when it is the turn of others. */
export type Pace = (looked: number) => boolean;

/** Characters that are looked at before others get their turn: some milliseconds. */
export const TURN = 40 * 1024;

/** What it costs to look one value up, in characters that are looked at. */
export const LOOKUP = 256;

export function createPace(): Pace {
  let looked = 0;
  return (by) => {
    looked += by;
    if (looked <= TURN) return false;
    looked = 0;
    return true;
  };
}

/** Goes through with it in one go. */
export function atOnce<T>(turns: Turns<T>): T {
  for (;;) {
    const turn = turns.next();
    if (turn.done === true) return turn.value;
  }
}
