/** Indexes of records in falling order, none twice. */
export type Descending = Iterator<number, undefined>;

/** Those that are in every list, in falling order. */
export function* intersect(lists: readonly Descending[]): Generator<number, undefined> {
  const heads = lists.map((list) => list.next().value);
  for (;;) {
    let least = Number.POSITIVE_INFINITY;
    for (const head of heads) {
      if (head === undefined) return;
      least = Math.min(least, head);
    }
    let isInAll = true;
    heads.forEach((head, i) => {
      let at = head;
      while (at !== undefined && at > least) at = lists[i]?.next().value;
      heads[i] = at;
      if (at !== least) isInAll = false;
    });
    if (!isInAll) continue;
    yield least;
    lists.forEach((list, i) => {
      heads[i] = list.next().value;
    });
  }
}

/** Those that are in any list, in falling order. */
export function* unite(lists: readonly Descending[]): Generator<number, undefined> {
  const heads = lists.map((list) => list.next().value);
  for (;;) {
    let most = -1;
    for (const head of heads) if (head !== undefined && head > most) most = head;
    if (most < 0) return;
    yield most;
    lists.forEach((list, i) => {
      if (heads[i] === most) heads[i] = list.next().value;
    });
  }
}
