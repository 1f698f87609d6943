/** More slow batches than quick ones by so many make the disk a slow one, until as many quick ones came. */
const SLOW_BATCHES = 5;

/** Whether batches keep being slow. */
export class AppendPace {
  readonly #slowMs: number;
  #slow = 0;
  #isSlow = false;
  #sentAt = 0;

  /** `slowMs`: what takes longer, in milliseconds, is slow. */
  constructor(slowMs: number) {
    this.#slowMs = slowMs;
  }

  get isSlow(): boolean {
    return this.#isSlow;
  }

  /** A batch goes to the disk. */
  begin(): void {
    this.#sentAt = performance.now();
  }

  /** It came back. */
  end(): void {
    const isSlow = performance.now() - this.#sentAt > this.#slowMs;
    this.#slow = Math.min(Math.max(this.#slow + (isSlow ? 1 : -1), 0), SLOW_BATCHES);
    if (this.#slow === SLOW_BATCHES) this.#isSlow = true;
    else if (this.#slow === 0) this.#isSlow = false;
  }
}
