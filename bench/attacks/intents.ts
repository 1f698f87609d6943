import type { Catalogue } from '../../src/cedar/index.ts';
import { inferCapabilities, STANDARD_CAPABILITIES, TASK_WORDS } from '../../src/identity/index.ts';
import type { Case } from './cases.ts';
import type { IntentSource } from './replay.ts';
import { type AnnotationSource, capabilityName, standardGroup } from './tools.ts';

export type TaskWords = ReadonlyMap<string, ReadonlySet<string>>;

/** The groups that the task needs, known when the run began. */
export function declaredIntent(source: AnnotationSource, catalogue: Catalogue): IntentSource {
  return (recorded) => ({
    capabilities:
      source === 'reviewed'
        ? recorded.declared.capabilities.map(capabilityName)
        : groupsOfTools(recorded, catalogue),
    inferred: false,
  });
}

function groupsOfTools({ suite, declared }: Case, catalogue: Catalogue): string[] {
  const tools = catalogue.upstreams.find(({ name }) => name === suite)?.tools ?? [];
  const used = tools.filter(({ name }) => declared.write_tools.includes(name));
  return [...new Set(used.flatMap(({ annotations }) => annotations.capability ?? []))];
}

/** Guessed from words of the request, by an agent that may have every group there is. */
export function inferredIntent(catalogue: Catalogue, words: TaskWords = TASK_WORDS): IntentSource {
  const groups = groupsOf(catalogue);
  return ({ request }) => {
    const guessed: readonly string[] = inferCapabilities(request, STANDARD_CAPABILITIES, words);
    return {
      capabilities: groups.filter((name) => guessed.includes(standardGroup(name))),
      inferred: true,
    };
  };
}

function groupsOf({ upstreams }: Catalogue): string[] {
  const named = upstreams.flatMap(({ tools }) => tools.flatMap((tool) => tool.annotations.capability ?? []));
  return [...new Set(named)];
}

/**
 * What the table of words would be if nobody had looked at one suite: only words that requests of other suites have.
 * The table itself is longer, so this is what is left when every word that only this suite shows is taken for tuned.
 */
export function wordsWithout(suite: string, cases: readonly Case[]): TaskWords {
  const seen = new Set(
    cases
      .filter((recorded) => recorded.suite !== suite)
      .flatMap(({ request }) => request.toLowerCase().match(/[a-z]+/g) ?? []),
  );
  return new Map(
    [...TASK_WORDS].map(([name, words]) => [name, new Set([...words].filter((word) => seen.has(word)))]),
  );
}
