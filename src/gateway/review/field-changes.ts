import { canonicalJson, isJsonObject, type JsonValue } from '../../base/index.ts';

/** One difference between two definitions. An absent side means that the field was not there. */
export type FieldChange = { readonly path: string; readonly before?: JsonValue; readonly after?: JsonValue };

const MAX_CHANGES = 200;

/** What differs between the reviewed and the present form of a definition, field by field, in the order of paths. */
export function fieldChanges(before: JsonValue, after: JsonValue): readonly FieldChange[] {
  return [...changesAt('', before, after)].slice(0, MAX_CHANGES);
}

function* changesAt(
  path: string,
  before: JsonValue | undefined,
  after: JsonValue | undefined,
): Generator<FieldChange> {
  if (before !== undefined && after !== undefined) {
    if (canonicalJson(before) === canonicalJson(after)) return;
    const [from, to] = [entriesOf(before), entriesOf(after)];
    if (from !== undefined && to !== undefined && Array.isArray(before) === Array.isArray(after)) {
      const keys = [...new Set([...from.keys(), ...to.keys()])];
      for (const key of keys) yield* changesAt(join(path, key), from.get(key), to.get(key));
      return;
    }
  }
  yield {
    path,
    ...(before === undefined ? {} : { before }),
    ...(after === undefined ? {} : { after }),
  };
}

function entriesOf(value: JsonValue): ReadonlyMap<string | number, JsonValue> | undefined {
  if (Array.isArray(value)) return new Map(value.entries());
  return isJsonObject(value) ? new Map(Object.entries(value)) : undefined;
}

function join(path: string, key: string | number): string {
  if (typeof key === 'number') return `${path}[${key}]`;
  return path === '' ? key : `${path}.${key}`;
}
