import { err, ok, type Result } from '../base/index.ts';
import { parseVerifierKey } from './checkpoint.ts';
import { cosignedAt, parseWitnessKey } from './cosignature.ts';
import type { Note, VerifierKey } from './signed-note.ts';

/** Which logs are believed, and which witnesses must have seen a checkpoint (C2SP tlog-policy). */
export type TlogPolicy = {
  readonly logs: readonly VerifierKey[];
  readonly witnesses: readonly Witness[];
  /** True when so many witnesses have cosigned the note as the quorum asks for. */
  isWitnessed(note: Note): boolean;
  /** When the last of the policy's witnesses cosigned the note, in seconds since the epoch. */
  witnessedAt(note: Note): number | undefined;
  /** `quorum none`: no witness is asked for. */
  readonly needsNone: boolean;
};

export type Witness = { readonly name: string; readonly key: VerifierKey; readonly url?: string };

type Rule = (seen: ReadonlySet<string>) => boolean;
type Draft = {
  logs: VerifierKey[];
  witnesses: Witness[];
  rules: Map<string, Rule>;
  members: Set<string>;
  quorum: string | undefined;
};
type Problem = string | undefined;

const CONTROL = /[^\t\n\x20-\x7e\u0080-\u{10ffff}]/u;
const NONE = 'none';

/** Reads a policy file. The error names the line and what to do; nothing of a bad policy is used. */
export function parseTlogPolicy(text: string): Result<TlogPolicy, string> {
  if (CONTROL.test(text)) return err('a policy file must not hold control characters but tab and newline');
  const draft: Draft = { logs: [], witnesses: [], rules: new Map(), members: new Set(), quorum: undefined };
  for (const [i, line] of text.split('\n').entries()) {
    const words = line.split(/[ \t]+/).filter((word) => word !== '');
    if (words.length === 0 || words[0]?.startsWith('#')) continue;
    const problem = readLine(words, draft);
    if (problem !== undefined) return err(`line ${i + 1}: ${problem}`);
  }
  const { logs, witnesses, rules, quorum } = draft;
  if (quorum === undefined) return err('there must be one quorum line; "quorum none" asks for no witness');
  const rule = quorum === NONE ? () => true : (rules.get(quorum) as Rule);
  return ok({
    logs,
    witnesses,
    needsNone: quorum === NONE,
    witnessedAt(note) {
      const times = witnesses.map(({ key }) => cosignedAt(note, key) ?? 0);
      return Math.max(0, ...times) || undefined;
    },
    isWitnessed: (note) =>
      rule(
        new Set(witnesses.filter(({ key }) => cosignedAt(note, key) !== undefined).map(({ name }) => name)),
      ),
  });
}

function readLine([keyword, ...words]: readonly string[], draft: Draft): Problem {
  switch (keyword) {
    case 'log':
      return readLog(words, draft);
    case 'witness':
      return readWitness(words, draft);
    case 'group':
      return readGroup(words, draft);
    case 'quorum':
      return readQuorum(words, draft);
    default:
      return 'must begin with log, witness, group or quorum';
  }
}

function readLog([vkey = '', ...rest]: readonly string[], { logs }: Draft): Problem {
  const key = parseVerifierKey(vkey);
  if (key === undefined || rest.length > 1) return 'must be "log <verifier key> [<url>]"';
  if (logs.some((log) => isSameKey(log, key))) return 'the same log is there twice';
  logs.push(key);
  return undefined;
}

function readWitness([name = '', vkey = '', ...rest]: readonly string[], draft: Draft): Problem {
  const key = parseWitnessKey(vkey);
  if (key === undefined || rest.length > 1) return 'must be "witness <name> <verifier key> [<url>]"';
  if (draft.witnesses.some((witness) => isSameKey(witness.key, key)))
    return 'the same witness is there twice';
  const [url] = rest;
  draft.witnesses.push({ name, key, ...(url === undefined ? {} : { url }) });
  return define(name, (seen) => seen.has(name), draft);
}

function readGroup([name = '', threshold = '', ...members]: readonly string[], draft: Draft): Problem {
  const count = thresholdOf(threshold, members.length);
  if (count === undefined) return 'must be "group <name> all|any|<k> <member> ..." with 1 <= k <= members';
  for (const member of members) {
    if (!draft.rules.has(member)) return 'a member must be a witness or group of a line before';
    if (draft.members.has(member)) return 'a name can be a member only once';
    draft.members.add(member);
  }
  const rules = members.map((member) => draft.rules.get(member) as Rule);
  return define(name, (seen) => rules.filter((rule) => rule(seen)).length >= count, draft);
}

function readQuorum([name = '', ...rest]: readonly string[], draft: Draft): Problem {
  if (rest.length > 0 || (name !== NONE && !draft.rules.has(name))) {
    return 'must be "quorum <name>" of a witness or group of a line before, or "quorum none"';
  }
  if (draft.quorum !== undefined) return 'there must be only one quorum line';
  draft.quorum = name;
  return undefined;
}

function define(name: string, rule: Rule, { rules }: Draft): Problem {
  if (name === NONE || rules.has(name)) return 'the name is taken';
  rules.set(name, rule);
  return undefined;
}

function thresholdOf(text: string, members: number): number | undefined {
  if (members === 0) return undefined;
  if (text === 'all') return members;
  if (text === 'any') return 1;
  const count = /^[1-9][0-9]{0,3}$/.test(text) ? Number(text) : 0;
  return count >= 1 && count <= members ? count : undefined;
}

function isSameKey(one: VerifierKey, other: VerifierKey): boolean {
  return one.key.equals(other.key);
}
