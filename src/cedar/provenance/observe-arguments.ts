import { scalarsOf } from './arguments-at.ts';
import { roleOf } from './field-names.ts';
import { CREATED, type Memory, OWN_RESULT, UNKNOWN } from './memory.ts';
import { normalForm } from './normal-form.ts';
import type { ObservedCall } from './provenance.ts';
import { MAX_VALUE, piecesOf } from './text-pieces.ts';
import type { ValueIndex } from './value-index.ts';

/** What a call carries out may come back from an own system. Then it is worth no more than it was. */
export function observeArguments({ args, annotations }: ObservedCall, { index }: Memory): void {
  if (annotations.effect === 'read') return;
  const { values, isWhole } = scalarsOf(args);
  if (!isWhole) index.seal();
  for (const value of values) {
    const { pieces, isWhole: isRead } = piecesOf(value);
    if (!isRead) index.seal();
    if (value.length <= MAX_VALUE) pieces.add(value);
    for (const piece of pieces) capAtPresent(normalForm(piece), index);
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

function capAtPresent(normal: string, index: ValueIndex): void {
  const rank = index.find(normal)?.rank ?? UNKNOWN;
  if (rank > OWN_RESULT) index.cap(normal, rank);
}
