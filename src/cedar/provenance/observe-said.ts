import { addressKind, fragmentsOf } from './fragments.ts';
import type { Rank } from './level.ts';
import { asPrincipal, CONSTANT, type Memory, PRINCIPAL, REQUEST } from './memory.ts';
import { normalForm } from './normal-form.ts';
import type { ObservedIntent } from './provenance.ts';
import { phrasesOf } from './request-phrases.ts';

const said = (rank: Rank) => ({ rank, idRank: rank, call: 0, field: 0, labels: 0, isMentioned: false });

export function observeIntent({ text, addressees, sources }: ObservedIntent, memory: Memory): void {
  const { index, spelledOut } = memory;
  const spoken = (text ?? '').normalize('NFKC').replace(/\s+/gu, ' ');
  if (PEOPLE.test(spoken)) memory.speaksOfPeople = true;
  for (const phrase of phrasesOf(spoken)) index.add(normalForm(phrase), said(REQUEST));
  for (const fragment of fragmentsOf(spoken)) {
    index.add(normalForm(fragment.text), said(REQUEST));
    spelledOut.add(fragment.kind);
  }
  for (const value of [...(addressees ?? []), ...(sources ?? [])])
    index.add(normalForm(value), said(REQUEST));
  for (const value of addressees ?? []) {
    const kind = addressKind(value);
    if (kind !== 'name') spelledOut.add(kind);
  }
}

/** The parts that people have in a record. */
const PEOPLE =
  /\b(?:participants?|attendees?|invitees?|guests?|members?|recipients?|senders?|authors?|requesters?|reporters?|submitters?|owners?|organi[sz]ers?|reply|replies|respond|answer|everyone|everybody|persons?|people|team)\b/i;

export function observePrincipal(names: readonly string[], { index }: Memory): void {
  for (const name of names) {
    index.add(normalForm(name), said(PRINCIPAL));
    index.add(asPrincipal(normalForm(name)), said(PRINCIPAL));
  }
}

export function observeConstants(values: readonly string[], { index }: Memory): void {
  for (const value of values) index.add(normalForm(value), said(CONSTANT));
}
