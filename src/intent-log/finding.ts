/** Something that keeps the log from being verified, at or from a record. */
export type Finding = {
  /** `broken`: the log is not what was written. `unclear`: nobody can say with what is at hand. */
  readonly kind: 'broken' | 'unclear';
  readonly idx: number;
  readonly what: string;
};

/** Where checks put what they find. */
export type Report = (kind: Finding['kind'], idx: number, what: string) => void;

/** A finding with the moment of the audit at which it came up: checks may run apart and be put in one order. */
export type TimedFinding = Finding & { readonly moment: number };

/** More than this nobody reads. */
const MAX_FINDINGS = 20;

/** The first findings of a check that goes through the log by itself. */
export type FindingList = {
  readonly found: TimedFinding[];
  /** Where the check is. */
  moment: number;
  readonly report: Report;
};

export function createFindingList(): FindingList {
  const found: TimedFinding[] = [];
  const list: FindingList = {
    found,
    moment: BEFORE_RECORDS,
    report(kind, idx, what) {
      if (found.length < MAX_FINDINGS) found.push({ kind, idx, what, moment: list.moment });
    },
  };
  return list;
}

/** The moments of an audit: before the records, three for the n-th of them, after all. */
export const BEFORE_RECORDS = -1;
export const momentOf = {
  gap: (n: number): number => 3 * n,
  tree: (n: number): number => 3 * n + 1,
  record: (n: number): number => 3 * n + 2,
};
export const AFTER_RECORDS = Number.POSITIVE_INFINITY;

/** The first findings of several checks in the order of the audit. */
export function inOrder(...lists: readonly (readonly TimedFinding[])[]): Finding[] {
  return lists
    .flat()
    .sort((a, b) => (a.moment === b.moment ? 0 : a.moment - b.moment))
    .slice(0, MAX_FINDINGS)
    .map(({ kind, idx, what }) => ({ kind, idx, what }));
}
