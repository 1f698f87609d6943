import { isJsonObject, type JsonObject } from '../base/index.ts';
import { TOOL_WORDS } from '../identity/index.ts';
import type { ToolAnnotations } from './annotations.ts';
import { type ArgumentRoles, argumentRoles } from './argument-roles.ts';
import {
  EXTERNAL_WORDS,
  OUTSIDE_WORDS,
  OWN_NOUNS,
  OWN_WRITE_VERBS,
  READ_VERBS,
  WRITE_VERBS,
  wordsOf,
} from './tool-words.ts';

type Hint = 'readOnlyHint' | 'destructiveHint' | 'openWorldHint';

/**
 * What a tool's definition lets one suppose about it, for a reviewer to correct. Where name, hints and schema
 * disagree the worse wins, and a hint alone never makes a tool harmless: the upstream wrote it. What cannot be
 * told is a write, to the outside, that answers with other people's text. Never throws.
 */
export function deriveAnnotations(definition: JsonObject): ToolAnnotations {
  const words = wordsOf(typeof definition['name'] === 'string' ? definition['name'] : '');
  const roles = argumentRoles(definition['inputSchema']);
  const effect = effectOf(words, definition, roles);
  const addresses = roles.keyArguments.some(({ kind }) => kind === 'address');
  const capability = capabilityOf(words, effect);
  const sink = sinkOf(words, definition, effect, addresses);
  const isOwnRecord = effect === 'write' && sink === 'own' && capability !== 'delete';
  const { keyArguments, contentArguments } = isOwnRecord ? withNamesAsContent(roles) : roles;
  return {
    effect,
    sink,
    resultTrust: trustOf(words, effect),
    ...(capability === undefined ? {} : { capability }),
    keyArguments,
    contentArguments: effect === 'read' ? [] : contentArguments,
  };
}

/** What a write puts into a record of the owner's is data, also somebody's name. What it removes, a name may choose. */
function withNamesAsContent({ keyArguments, contentArguments }: ArgumentRoles) {
  const names = keyArguments.filter(({ path, kind }) => kind === 'identifier' && isPartOfName(path));
  return {
    keyArguments: keyArguments.filter((key) => !names.includes(key)),
    contentArguments: [...contentArguments, ...names.map(({ path }) => path)],
  };
}

const NAME_PARTS = new Set(['first', 'last', 'middle', 'given', 'family', 'full', 'maiden']);

/** `first_name`, `passenger.familyName`. */
function isPartOfName(path: string): boolean {
  const [part = '', name, ...more] = wordsOf(path.slice(path.lastIndexOf('.') + 1));
  return NAME_PARTS.has(part) && name === 'name' && more.length === 0;
}

function hintOf(definition: JsonObject, hint: Hint): unknown {
  const annotations = definition['annotations'];
  return isJsonObject(annotations) ? annotations[hint] : undefined;
}

/** The verb of a name is its first or, as in `calendar_event_create`, its last word that is one. */
function effectOf(
  words: readonly string[],
  definition: JsonObject,
  { hasUrl, keyArguments }: ArgumentRoles,
): ToolAnnotations['effect'] {
  const addresses = keyArguments.some(({ kind }) => kind === 'address');
  const saysWrite =
    hintOf(definition, 'readOnlyHint') === false || hintOf(definition, 'destructiveHint') === true;
  const verb = words.find((word) => READ_VERBS.has(word) || WRITE_VERBS.has(word));
  const isReadByName = verb !== undefined && READ_VERBS.has(verb) && !leadsToWrite(words, verb);
  const isReadByHint = hintOf(definition, 'readOnlyHint') === true && !words.some(reachesOut) && !addresses;
  if (saysWrite || beginsWithWrite(definition) || !(isReadByName || isReadByHint)) return 'write';
  return hasUrl || words.some((word) => OUTSIDE_WORDS.has(word)) ? 'egressRead' : 'read';
}

/** A description is the upstream's word: it can make a tool worse, never better. */
function beginsWithWrite({ description }: JsonObject): boolean {
  const [first = ''] = typeof description === 'string' ? wordsOf(description.slice(0, 80)) : [];
  return (
    !READ_VERBS.has(first) &&
    [first, first.replace(/s$/, ''), first.replace(/es$/, '')].some((word) => CHANGES.has(word))
  );
}

/** Words that begin a description only if the tool changes or sends something. */
const CHANGES: ReadonlySet<string> = new Set(
  'send create update delete remove write append edit modify upload post publish pay transfer buy order purchase book cancel execute run kill deploy merge push grant revoke'.split(
    ' ',
  ),
);

/** A hint does not make harmless what is called like something that reaches others. */
const reachesOut = (word: string): boolean => WRITE_VERBS.has(word) || EXTERNAL_WORDS.has(word);

/** `get_or_create`, `find_and_replace`, `list_add_member`: a second verb that writes. */
function leadsToWrite(words: readonly string[], verb: string): boolean {
  const at = words.indexOf(verb);
  return words.some((word, i) => {
    if (i <= at || !WRITE_VERBS.has(word)) return false;
    return ['or', 'and', 'then'].includes(words[i - 1] ?? '') || (NOUNS.has(verb) && AFTER_NOUNS.has(word));
  });
}

/** Verbs that are hardly anything else. */
const AFTER_NOUNS: ReadonlySet<string> = new Set([
  ...CHANGES,
  ...'add set put patch insert upsert move rename drop purge clear reset enable disable exec eval approve reject invite replace apply submit'.split(
    ' ',
  ),
]);

/** Verbs that are nouns in names such as `status_update`. */
const NOUNS: ReadonlySet<string> = new Set(
  'list status info diff stat count check query preview search load tail head dir cat browse summary'.split(
    ' ',
  ),
);

function sinkOf(
  words: readonly string[],
  definition: JsonObject,
  effect: ToolAnnotations['effect'],
  addresses: boolean,
): ToolAnnotations['sink'] {
  if (effect === 'read') return 'none';
  if (effect === 'egressRead' || addresses) return 'external';
  if (words.some((word) => EXTERNAL_WORDS.has(word))) return 'external';
  if (hintOf(definition, 'openWorldHint') === true) return 'external';
  const verb = words.find((word) => WRITE_VERBS.has(word));
  return verb !== undefined && OWN_WRITE_VERBS.has(verb) ? 'own' : 'external';
}

/** Results of reads alone: what a write answers can repeat what anybody wrote. */
function trustOf(
  words: readonly string[],
  effect: ToolAnnotations['effect'],
): ToolAnnotations['resultTrust'] {
  const rest = words.filter((word) => !READ_VERBS.has(word) || OWN_NOUNS.has(word));
  const isOwn = rest.length > 0 && rest.every((word) => OWN_NOUNS.has(word) || FILLERS.has(word));
  return effect === 'read' && isOwn ? 'own' : 'thirdParty';
}

const FILLERS: ReadonlySet<string> = new Set([
  'current',
  'the',
  'of',
  'info',
  'account',
  'user',
  'system',
  'server',
]);

/** What only looks belongs to no group until a reviewer puts it in one. */
function capabilityOf(words: readonly string[], effect: ToolAnnotations['effect']): string | undefined {
  if (effect === 'read') return undefined;
  if (effect === 'egressRead') return 'fetch-web';
  const verb = words.find((word) => WRITE_VERBS.has(word));
  if (verb !== undefined && TOOL_WORDS.get('delete')?.has(verb)) return 'delete';
  return [...TOOL_WORDS].find(([, of]) => words.some((word) => of.has(word)))?.[0];
}
