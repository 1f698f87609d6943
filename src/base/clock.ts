/** Milliseconds since the Unix epoch. Passed in, so that tests choose the time. */
export type Clock = () => number;

export const systemClock: Clock = () => Date.now();

/** JWT's `NumericDate` (RFC 7519 §2): whole seconds since the Unix epoch. */
export const toEpochSeconds = (milliseconds: number): number => Math.floor(milliseconds / 1000);
