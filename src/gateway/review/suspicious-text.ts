import { isJsonObject, type JsonObject, type JsonValue } from '../../base/index.ts';

/** What a reviewer should look at twice. A hint, never a verdict: honest servers trip these, careful attackers may not. */
export type Suspicion = {
  readonly kind: 'hidden-text' | 'instruction' | 'secret' | 'other-tool' | 'url' | 'encoded';
  /** Path within the definition, or `instructions`. */
  readonly where: string;
  /** The part in question, cut; hidden characters by their code points. */
  readonly text: string;
};

const MAX_FOUND = 50;
const MAX_EXCERPT = 120;

/** Every quantifier over text is bounded, so that a description cannot make the review slow. */
const PATTERNS: readonly (readonly [Suspicion['kind'], RegExp])[] = [
  [
    'instruction',
    /\b(?:ignore|disregard|forget|override|bypass)\b[^.\n]{0,40}\b(?:previous|prior|above|earlier|other|all|system|instructions?|rules)\b/giu,
  ],
  [
    'instruction',
    /\b(?:do not|don't|don’t|never|must not|without)\s+(?:tell|telling|mention|mentioning|inform|informing|notify|notifying|reveal|show|disclose|ask|asking|alert)\b/giu,
  ],
  [
    'instruction',
    /\b(?:before|after|prior to|whenever|every time|each time|instead of)\b[^.\n]{0,30}\b(?:using|calling|invoking|use|call|invoke|run|running)\b[^.\n]{0,30}/giu,
  ],
  [
    'instruction',
    /<\/?\s?(?:important|system|assistant|secret|instructions?|critical|admin)\b[^>\n]{0,40}>/giu,
  ],
  ['instruction', /\[\/?(?:INST|SYSTEM)\]/giu],
  ['instruction', /\byou (?:must|have to|are required to|should always|shall)\b[^.\n]{0,40}/giu],
  ['instruction', /\b(?:system prompt|hidden instructions?|conversation history|chat history)\b/giu],
  [
    'secret',
    /(?:\.ssh\b|\bid_(?:rsa|ed25519|ecdsa)\b|\.env\b|\.aws\b|\.npmrc\b|\.netrc\b|\/etc\/(?:passwd|shadow)\b|\bmcp\.json\b)/giu,
  ],
  [
    'secret',
    /\b(?:api[ _-]?keys?|private keys?|access tokens?|passwords?|passphrases?|credentials?|secrets?)\b/giu,
  ],
  ['url', /\b[a-z][a-z0-9+.-]{1,20}:\/\/[^\s"'<>)\]]{1,200}/giu],
  ['url', /\bdata:[a-z]{1,20}\/[a-z0-9.+-]{1,40}[;,]/giu],
  ['encoded', /[A-Za-z0-9+/_-]{64,}={0,2}/gu],
];

const HIDDEN = /[\p{Default_Ignorable_Code_Point}\p{Cf}\p{Cc}\p{Co}\p{Cs}]/gu;
const HIDDEN_RUN = /[\p{Default_Ignorable_Code_Point}\p{Cf}\p{Cc}\p{Co}\p{Cs}]+/gu;
const HARMLESS = /[\t\n\r]|(?<=\p{Extended_Pictographic})[\u{FE0F}\u{200D}]/gu;
const SCHEMA_DIALECT = /^https?:\/\/json-schema\.org\/[\w/.-]{1,60}#?$/;

/** Names of all tools with the upstreams that have them, to find where one tool speaks of another. */
export type ToolNames = ReadonlyMap<string, readonly string[]>;

/** Looks through all text of a tool's definition: names, descriptions and schemas down to the last enum value. */
export function suspicionsOf(
  definition: JsonObject,
  upstream: string,
  names: ToolNames,
): readonly Suspicion[] {
  const own = definition['name'];
  const found: Suspicion[] = [];
  for (const [where, text] of textsIn(definition, '')) {
    if (found.length >= MAX_FOUND) break;
    if (where.endsWith('$schema') && SCHEMA_DIALECT.test(text)) continue;
    found.push(...suspicionsInText(text, where));
    if (where !== 'name') found.push(...otherTools(text, where, { own, upstream, names }));
  }
  return found.slice(0, MAX_FOUND);
}

/** Looks through a server's instructions to the model. */
export function suspicionsInText(text: string, where: string): readonly Suspicion[] {
  const hidden = (text.replace(HARMLESS, '').match(HIDDEN_RUN) ?? []).map((run) => ({
    kind: 'hidden-text' as const,
    where,
    text: codePoints(run),
  }));
  const legible = text.replace(HARMLESS, (char) => (char.trim() === '' ? char : '')).replace(/[\t\r]/g, ' ');
  const plain = legible.replace(HIDDEN, (char) => (char === '\n' ? char : '')).normalize('NFKC');
  const said = PATTERNS.flatMap(([kind, pattern]) =>
    (plain.match(pattern) ?? []).map((part) => ({ kind, where, text: part.slice(0, MAX_EXCERPT) })),
  );
  return [...hidden, ...said].slice(0, MAX_FOUND);
}

function* textsIn(value: JsonValue, path: string): Generator<readonly [string, string]> {
  if (typeof value === 'string') yield [path, value];
  else if (Array.isArray(value))
    for (const [i, item] of value.entries()) yield* textsIn(item, `${path}[${i}]`);
  else if (isJsonObject(value)) {
    for (const [key, item] of Object.entries(value)) {
      const here = path === '' ? key : `${path}.${key}`;
      yield [`${here} (key)`, key];
      yield* textsIn(item, here);
    }
  }
}

type About = { readonly own: JsonValue | undefined; readonly upstream: string; readonly names: ToolNames };

/** A word that is also a tool's name counts only in quotes or beside "tool"; a compound name counts anywhere. */
function otherTools(text: string, where: string, { own, upstream, names }: About): Suspicion[] {
  if (where.endsWith('(key)')) return [];
  const found = new Map<string, Suspicion>();
  for (const match of text.matchAll(/[\p{L}\p{N}_][\p{L}\p{N}_./-]*/gu)) {
    const word = match[0].replace(/[./-]+$/, '');
    const owners = names.get(word);
    if (owners === undefined || word === own || found.has(word)) continue;
    const isCompound = /[\p{L}\p{N}][_./-]\p{L}|\p{Ll}\p{Lu}/u.test(word);
    const before = text.slice(Math.max(0, match.index - 6), match.index);
    const after = text.slice(match.index + word.length, match.index + word.length + 6);
    const isNamed = /["'`“‘]$|\btool $/iu.test(before) || /^["'`”’]|^ tool\b/iu.test(after);
    if (!isCompound && !isNamed) continue;
    const elsewhere = owners.includes(upstream) ? [] : owners;
    found.set(word, {
      kind: 'other-tool',
      where,
      text: elsewhere.length === 0 ? word : elsewhere.map((owner) => `${owner}/${word}`).join(', '),
    });
  }
  return [...found.values()];
}

function codePoints(run: string): string {
  const points = [...run].map(
    (char) => `U+${(char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`,
  );
  const shown = points.slice(0, 8).join(' ');
  const spelled = tagText(run);
  const more = points.length > 8 ? ` and ${points.length - 8} more` : '';
  return `${shown}${more}${spelled === '' ? '' : ` spelling "${spelled}"`}`;
}

/** Tag characters (U+E0020 to U+E007E) mirror ASCII: models read them, people do not see them. */
function tagText(run: string): string {
  return [...run]
    .map((char) => (char.codePointAt(0) ?? 0) - 0xe0000)
    .filter((code) => code >= 0x20 && code <= 0x7e)
    .map((code) => String.fromCharCode(code))
    .join('')
    .slice(0, MAX_EXCERPT);
}
