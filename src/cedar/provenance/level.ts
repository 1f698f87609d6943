/**
 * Where a value comes from, best first:
 * - `request`: the run's declared intent says it.
 * - `principal`: names the one the run acts for.
 * - `constant`: the operator's configuration says it.
 * - `ownResult`: a whole field of a result of the owner's own systems, or an addressee field of a record that
 *   the principal wrote.
 * - `created`: names what this delegation tree made.
 * - `namedField`: a system field of a third-party record that the request names.
 * - `systemField`: a system field of another third-party record (id, sender, participants).
 * - `namedText`: free text of a third-party source that the request names.
 * - `thirdPartyText`: free text of a third party, or something the tree wrote from it.
 * - `derived`: put together from, cut out of or decoded from values that were seen.
 * - `unknown`: never seen, or seen when the index was full.
 */
export const LEVELS = [
  'request',
  'principal',
  'constant',
  'ownResult',
  'created',
  'namedField',
  'systemField',
  'namedText',
  'thirdPartyText',
  'derived',
  'unknown',
] as const;

export type ProvenanceLevel = (typeof LEVELS)[number];

/** Position in `LEVELS`: smaller is better. */
export type Rank = number;

const RANKS = new Map<ProvenanceLevel, Rank>(LEVELS.map((level, rank) => [level, rank]));
const WORST: Rank = LEVELS.length - 1;

export const rankOf = (level: ProvenanceLevel): Rank => RANKS.get(level) ?? WORST;

export const levelOf = (rank: Rank): ProvenanceLevel => LEVELS[rank] ?? 'unknown';

/** The worse of two; `none` is nothing to compare with. */
export function worse(a: ProvenanceLevel | 'none', b: ProvenanceLevel | 'none'): ProvenanceLevel | 'none' {
  if (a === 'none') return b;
  if (b === 'none') return a;
  return rankOf(a) >= rankOf(b) ? a : b;
}

export const better = (a: ProvenanceLevel, b: ProvenanceLevel): ProvenanceLevel =>
  rankOf(a) <= rankOf(b) ? a : b;
