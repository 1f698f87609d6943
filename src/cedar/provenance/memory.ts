import type { FragmentKind } from './fragments.ts';
import type { Rank } from './level.ts';
import { rankOf } from './level.ts';
import type { Interned, LabelSets } from './small-tables.ts';
import type { ValueIndex } from './value-index.ts';

/** What one delegation tree has seen. */
export type Memory = {
  readonly index: ValueIndex;
  readonly calls: Interned;
  readonly fields: Interned;
  readonly labels: LabelSets;
  /** Kinds of address that the request spells out: for these it has chosen the addressees itself. */
  readonly spelledOut: Set<FragmentKind>;
  /** The request speaks of people by their part in something: participants, sender, whoever is to be answered. */
  speaksOfPeople: boolean;
  /** Text of third parties was longer than what is looked at: nobody knows which records it points at. */
  mayPointAtAnything: boolean;
};

export const REQUEST: Rank = rankOf('request');
export const PRINCIPAL: Rank = rankOf('principal');
export const CONSTANT: Rank = rankOf('constant');
export const OWN_RESULT: Rank = rankOf('ownResult');
export const CREATED: Rank = rankOf('created');
export const NAMED_FIELD: Rank = rankOf('namedField');
export const SYSTEM_FIELD: Rank = rankOf('systemField');
export const NAMED_TEXT: Rank = rankOf('namedText');
export const TEXT: Rank = rankOf('thirdPartyText');
export const DERIVED: Rank = rankOf('derived');
export const UNKNOWN: Rank = rankOf('unknown');

/** The key under which a name is the principal's, whatever else it is. No normal form has a line feed in it. */
export const asPrincipal = (normal: string): string => `principal\n${normal}`;
