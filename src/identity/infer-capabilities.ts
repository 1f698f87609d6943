import { TASK_WORDS } from './capability-words.ts';

/** Only the beginning of a task says what it is about; what is pasted below it does not. Characters. */
const MAX_READ = 2_000;

/**
 * What a task seems to need, for clients that cannot declare it: the groups of which the text has a word, as far
 * as `ceiling` has them. A guess: whoever wrote the text steers it, so it is marked as inferred, it never goes
 * beyond the ceiling, and a strict intent does not take it.
 */
export function inferCapabilities(task: string, ceiling: readonly string[]): readonly string[] {
  const words =
    task
      .slice(0, MAX_READ)
      .toLowerCase()
      .match(/[a-z]+/g) ?? [];
  return [...TASK_WORDS]
    .filter(([name, of]) => ceiling.includes(name) && words.some((word) => of.has(word)))
    .map(([name]) => name);
}
