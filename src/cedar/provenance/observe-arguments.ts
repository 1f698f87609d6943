import { scalarsOf } from './arguments-at.ts';
import { roleOf } from './field-names.ts';
import { MAX_TEXT } from './fragments.ts';
import { CREATED, type Memory, OWN_RESULT } from './memory.ts';
import { normalForm } from './normal-form.ts';
import { createPace, LOOKUP, type Turns } from './pace.ts';
import { passagesOf } from './passages.ts';
import type { ObservedCall } from './provenance.ts';
import { eachPiece, MAX_VALUE } from './text-pieces.ts';

/** What a call carries out may come back from an own system. Then it is worth no more than it was. */
export function* observingArguments({ args, annotations }: ObservedCall, { index }: Memory): Turns<void> {
  if (annotations.effect === 'read') return;
  const isDue = createPace();
  const { values, isWhole } = scalarsOf(args);
  if (!isWhole) index.seal();
  for (const value of values) {
    if (value.length <= MAX_VALUE) index.capAtPresent(value, 0, value.length, OWN_RESULT);
    if (value.length > MAX_TEXT) index.seal();
    for (const passage of passagesOf(value)) {
      const isRead = eachPiece(passage, (piece, start, end) =>
        index.capAtPresent(piece, start, end, OWN_RESULT),
      );
      if (!isRead) index.seal();
      if (isDue(LOOKUP + passage.length)) yield;
    }
  }
  if (annotations.effect !== 'write') return;
  const isAddress = new Set(
    annotations.keyArguments.filter(({ kind }) => kind === 'address').map(({ path }) => path),
  );
  for (const [name, value] of Object.entries(args)) {
    if (typeof value !== 'string' || roleOf(name) !== 'title' || isAddress.has(name)) continue;
    index.create(normalForm(value), CREATED);
  }
}
