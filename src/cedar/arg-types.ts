import type { Type } from '@cedar-policy/cedar-wasm/nodejs';

/** What Cedar can hold of a JSON Schema. `opaque` is everything else: its value is never shown to policies. */
export type ArgType =
  | { readonly kind: 'string' | 'boolean' | 'long' | 'decimal' | 'opaque' }
  | { readonly kind: 'datetime'; readonly format: 'date' | 'date-time' }
  | { readonly kind: 'ipaddr'; readonly version: 4 | 6 }
  | { readonly kind: 'enum'; readonly entityType: string; readonly values: ReadonlySet<string> }
  | { readonly kind: 'set'; readonly element: ArgType }
  | RecordArg
  | { readonly kind: 'union'; readonly variants: ReadonlyMap<Variant, ArgType> };

export type RecordArg = {
  readonly kind: 'record';
  readonly fields: ReadonlyMap<string, Field>;
  /** Where the names of undeclared members go: `opaque` when the schema lets them in on purpose. */
  readonly others: 'extra' | 'opaque';
};

export type Field = { readonly type: ArgType; readonly required: boolean; readonly nullable: boolean };

/** A type, and whether JSON `null` is one of its values. */
export type Mapped = { readonly type: ArgType; readonly nullable: boolean };

/** JSON Schema's type `null`, which has no other value. */
export const NULL: Mapped = { type: { kind: 'opaque' }, nullable: true };

/** Attribute names of a union's record; by type, so that reordering a union breaks no policy. */
export type Variant = 'asString' | 'asLong' | 'asDecimal' | 'asBoolean' | 'asSet' | 'asRecord';

/** The namespace of everything that policies can name. */
export const NAMESPACE = 'Sallyport';

export type CedarType = Type<string>;
export type CedarRecord = {
  readonly type: 'Record';
  readonly attributes: Record<string, CedarType & { required?: boolean }>;
};

/** All arguments opaque: what a tool gets whose schema cannot be made sense of. */
export const OPAQUE_ARGS: RecordArg = { kind: 'record', fields: new Map(), others: 'opaque' };

/**
 * The Cedar type of an argument. With `required: 'declared'` what policies are checked against: a required
 * argument may be read without `has`. With `required: 'never'` what requests are parsed with: a call that
 * leaves out or garbles a required argument reaches the policies, and one that reads it errs, which denies.
 */
export function toCedarType(type: ArgType, required: 'declared' | 'never'): CedarType {
  switch (type.kind) {
    case 'string':
      return { type: 'String' };
    case 'boolean':
      return { type: 'Boolean' };
    case 'long':
      return { type: 'Long' };
    case 'decimal':
    case 'datetime':
    case 'ipaddr':
      return { type: 'Extension', name: type.kind };
    case 'enum':
      return { type: 'Entity', name: type.entityType };
    case 'set':
      return { type: 'Set', element: toCedarType(type.element, required) };
    case 'record':
      return toCedarRecord(type, required);
    case 'union':
      return record(
        [...type.variants].map(([name, variant]) => [name, toCedarType(variant, required), false]),
      );
    case 'opaque':
      throw new TypeError('an opaque argument has no Cedar type');
  }
}

/** As `toCedarType`, for the whole of a tool's arguments; opaque ones have no attribute. */
export function toCedarRecord(type: RecordArg, required: 'declared' | 'never'): CedarRecord {
  const attributes: [string, CedarType, boolean][] = [];
  for (const [name, field] of type.fields) {
    if (field.type.kind === 'opaque') continue;
    const isRequired = required === 'declared' && field.required && !field.nullable;
    attributes.push([name, toCedarType(field.type, required), isRequired]);
  }
  return record(attributes);
}

function record(attributes: readonly [string, CedarType, boolean][]): CedarRecord {
  return {
    type: 'Record',
    attributes: Object.fromEntries(
      attributes.map(([name, type, required]) => [name, required ? type : { ...type, required: false }]),
    ),
  };
}

/** The enum entity types used in an argument's type, each with its values. */
export function collectEnums(type: ArgType, found: Map<string, ReadonlySet<string>>): void {
  switch (type.kind) {
    case 'enum':
      found.set(type.entityType, new Set([...(found.get(type.entityType) ?? []), ...type.values]));
      return;
    case 'set':
      collectEnums(type.element, found);
      return;
    case 'record':
      for (const field of type.fields.values()) collectEnums(field.type, found);
      return;
    case 'union':
      for (const variant of type.variants.values()) collectEnums(variant, found);
      return;
    default:
  }
}
