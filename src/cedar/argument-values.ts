import { isJsonObject, type JsonObject, type JsonValue } from '../base/index.ts';

const MAX_VALUES = 1_024;

/**
 * The values at a dotted path from the arguments; lists stand for their elements, objects at its end for all in
 * them. `isCut` when there are more than are given.
 */
export function valuesAt(
  args: JsonObject,
  path: string,
): { readonly values: readonly (string | number)[]; readonly isCut: boolean } {
  const values: (string | number)[] = [];
  const names = path.split('.');
  const visit = (value: JsonValue | undefined, at: number): boolean => {
    if (values.length >= MAX_VALUES) return false;
    if (isList(value)) return value.every((item) => visit(item, at));
    const name = names[at];
    if (isJsonObject(value)) {
      if (name !== undefined) return Object.hasOwn(value, name) ? visit(value[name], at + 1) : true;
      return Object.values(value).every((member) => visit(member, at));
    }
    if (name === undefined && (typeof value === 'string' || typeof value === 'number')) values.push(value);
    return true;
  };
  const isWhole = visit(args, 0);
  return { values, isCut: !isWhole };
}

const isList: (value: JsonValue | undefined) => value is readonly JsonValue[] = Array.isArray;
