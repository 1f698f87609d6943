/** Numbers for strings that come again and again. */
export type Interned = { numberOf(text: string): number; textOf(number: number): string };

/** Number 0 is the empty string, and what further strings get once `capacity` is reached. */
export function createInterned(capacity: number): Interned {
  const numbers = new Map<string, number>([['', 0]]);
  const texts = [''];
  return {
    numberOf(text) {
      const known = numbers.get(text);
      if (known !== undefined) return known;
      if (texts.length >= capacity) return 0;
      numbers.set(text, texts.length);
      return texts.push(text) - 1;
    },
    textOf: (number) => texts[number] ?? '',
  };
}

/** Numbers for sets of labels; 0 is the empty set. */
export type LabelSets = {
  numberOf(labels: readonly string[]): number;
  union(a: number, b: number): number;
  labelsOf(number: number): readonly string[];
  /** Every label that was ever in a set. */
  all(): readonly string[];
};

const MAX_SETS = 4_096;
/** Stands for all labels there are: with more sets than can be told apart, a value has too many, not too few. */
const ALL = 1;

export function createLabelSets(): LabelSets {
  const sets: (readonly string[])[] = [[], []];
  const numbers = new Map<string, number>([['[]', 0]]);
  const unions = new Map<number, number>();

  function numberOf(labels: readonly string[]): number {
    if (labels.length === 0) return 0;
    const sorted = [...new Set(labels)].sort();
    const key = JSON.stringify(sorted);
    const known = numbers.get(key);
    if (known !== undefined) return known;
    sets[ALL] = [...new Set([...(sets[ALL] ?? []), ...sorted])].sort();
    if (sets.length >= MAX_SETS) return ALL;
    numbers.set(key, sets.length);
    return sets.push(sorted) - 1;
  }

  const labelsOf = (number: number) => sets[number] ?? [];
  return {
    numberOf,
    labelsOf,
    all: () => labelsOf(ALL),
    union(a, b) {
      if (a === b || b === 0 || a === ALL) return a;
      if (a === 0 || b === ALL) return b;
      const pair = Math.min(a, b) * MAX_SETS + Math.max(a, b);
      const known = unions.get(pair);
      if (known !== undefined) return known;
      const union = numberOf([...labelsOf(a), ...labelsOf(b)]);
      unions.set(pair, union);
      return union;
    },
  };
}
