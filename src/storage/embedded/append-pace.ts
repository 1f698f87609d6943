/** More slow batches than quick ones by so many make the disk a slow one, until as many quick ones came. */
const SLOW_BATCHES = 5;

/** Whether batches keep being slow. */
export class AppendPace {
  readonly #slowMs: number;
  #slow = 0;
  #isSlow = false;

  /** `slowMs`: what takes longer, in milliseconds, is slow. */
  constructor(slowMs: number) {
    this.#slowMs = slowMs;
  }

  get isSlow(): boolean {
    return this.#isSlow;
  }

  note(millis: number): void {
    this.#slow = Math.min(Math.max(this.#slow + (millis > this.#slowMs ? 1 : -1), 0), SLOW_BATCHES);
    if (this.#slow === SLOW_BATCHES) this.#isSlow = true;
    else if (this.#slow === 0) this.#isSlow = false;
  }
}
