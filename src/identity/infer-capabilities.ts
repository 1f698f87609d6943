import { TASK_WORDS } from './capability-words.ts';
import { DELEGATED_CAPABILITIES, delegates } from './delegates.ts';

/** Only the beginning of a task says what it is about; what is pasted below it does not. Characters. */
const MAX_READ = 2_000;

/**
 * What a task seems to need, for clients that cannot declare it: the groups of which the text has a word, as far
 * as `ceiling` has them. A guess: whoever wrote the text steers it, so it is marked as inferred, it never goes
 * beyond the ceiling, and a strict intent does not take it. A task that hands its instructions to a source (`do what
 * the notes say`) needs what the source will ask for: those groups in which the values of a call tell whom it reaches.
 */
export function inferCapabilities(
  task: string,
  ceiling: readonly string[],
  taskWords: ReadonlyMap<string, ReadonlySet<string>> = TASK_WORDS,
): readonly string[] {
  const text = task.slice(0, MAX_READ).toLowerCase();
  const words = text.match(/[a-z]+/g) ?? [];
  const delegated = delegates(text) ? DELEGATED_CAPABILITIES : [];
  return [...taskWords]
    .filter(([name, of]) => delegated.some((one) => one === name) || words.some((word) => of.has(word)))
    .map(([name]) => name)
    .filter((name) => ceiling.includes(name));
}
