import { type ArgType, type Mapped, NULL, type Variant } from './arg-types.ts';

const OPAQUE: ArgType = { kind: 'opaque' };

/**
 * The type of a union: one scalar type stays itself, several become a record with one optional attribute per
 * JSON type. Two sets or two records cannot be told apart by looking at a value, so they are opaque.
 */
export function uniteTypes(members: readonly Mapped[]): Mapped {
  const nullable = members.some((member) => member.nullable);
  const types = members.filter((member) => member !== NULL).map((member) => member.type);
  const [first] = types;
  if (first === undefined) return { type: OPAQUE, nullable };
  return { type: types.length === 1 ? first : uniteSeveral(types), nullable };
}

function uniteSeveral(types: readonly ArgType[]): ArgType {
  const enums = types.filter((type) => type.kind === 'enum');
  const [sample] = enums;
  if (sample !== undefined && enums.length === types.length) {
    return { ...sample, values: new Set(enums.flatMap((type) => [...type.values])) };
  }
  const variants = new Map<Variant, ArgType>();
  for (const type of types) {
    const variant = variantOf(type);
    const other = variant === undefined ? undefined : variants.get(variant);
    if (variant === undefined || other?.kind === 'set' || other?.kind === 'record') return OPAQUE;
    variants.set(variant, other === undefined ? type : collapse(other, type));
  }
  if (variants.has('asDecimal')) variants.delete('asLong');
  const [only] = variants.values();
  if (only !== undefined && variants.size === 1) return only;
  return { kind: 'union', variants: plainStrings(variants) };
}

function variantOf(type: ArgType): Variant | undefined {
  switch (type.kind) {
    case 'string':
    case 'enum':
    case 'datetime':
    case 'ipaddr':
      return 'asString';
    case 'long':
      return 'asLong';
    case 'decimal':
      return 'asDecimal';
    case 'boolean':
      return 'asBoolean';
    case 'set':
      return 'asSet';
    case 'record':
      return 'asRecord';
    case 'union':
    case 'opaque':
      return undefined;
  }
}

/** Two members with the same JSON type: the same type, or for strings of different formats just a string. */
function collapse(a: ArgType, b: ArgType): ArgType {
  if (a.kind === 'datetime' && b.kind === 'datetime' && a.format === b.format) return a;
  if (a.kind === 'ipaddr' && b.kind === 'ipaddr' && a.version === b.version) return a;
  return variantOf(a) === 'asString' ? { kind: 'string' } : a;
}

/** Beside other types a string is only a string: `asString` says nothing of a format. */
function plainStrings(variants: ReadonlyMap<Variant, ArgType>): ReadonlyMap<Variant, ArgType> {
  return new Map(
    [...variants].map(([name, type]) => [name, name === 'asString' ? { kind: 'string' } : type]),
  );
}
