/** Something that keeps the log from being verified, at or from a record. */
export type Finding = {
  /** `broken`: the log is not what was written. `unclear`: nobody can say with what is at hand. */
  readonly kind: 'broken' | 'unclear';
  readonly idx: number;
  readonly what: string;
};

/** Where checks put what they find. */
export type Report = (kind: Finding['kind'], idx: number, what: string) => void;
