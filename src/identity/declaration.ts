import { err, isJsonObject, type JsonObject, type JsonValue, ok, type Result } from '../base/index.ts';
import type { DeclaredIntent, IntentLimits } from './run.ts';

/** What an intent says beside its purpose, task and envelope. Absent means nothing. */
export type Declaration = Pick<
  DeclaredIntent,
  'capabilities' | 'addressees' | 'sources' | 'limits' | 'inferred'
> & { readonly strict?: boolean };

/** The most that may be declared. A list that is absent is no limit. */
export type DeclarationCeiling = {
  readonly capabilities: readonly string[];
  readonly addressees?: readonly string[];
  readonly sources?: readonly string[];
  readonly limits?: IntentLimits;
  readonly strict?: boolean;
  readonly inferred?: true;
};

/** The part that goes beyond the ceiling. */
export type DeclarationRefusal = { readonly part: string; readonly value?: string };

/** Members of a `sallyport_intent` that make up its declaration. */
export const DECLARATION_MEMBERS = [
  'capabilities',
  'addressees',
  'sources',
  'limits',
  'strict',
  'inferred',
] as const;

const CAPABILITY = /^[a-z][a-z0-9-]{0,63}$/;
const ARGUMENT = /^[^\s\p{Cc}.]{1,64}$/u;
const MAX_NAMES = 64;
const MAX_NAME_LENGTH = 256;
/** All of it travels in every token. Characters of JSON. */
const MAX_LENGTH = 2_048;

/** Reads the declaration out of an intent. The error is a description for the caller. */
export function parseDeclaration(detail: JsonObject): Result<Declaration, string> {
  const stated = Object.fromEntries(DECLARATION_MEMBERS.map((name) => [name, detail[name] ?? null]));
  if (JSON.stringify(stated).length > MAX_LENGTH) {
    return err(`what the intent declares must be at most ${MAX_LENGTH} characters of JSON`);
  }
  const { capabilities, addressees, sources, limits, strict, inferred } = detail;
  if (capabilities !== undefined && !isNames(capabilities, (name) => CAPABILITY.test(name))) {
    return err(`capabilities must be at most ${MAX_NAMES} names such as "send-message"`);
  }
  for (const [name, value] of Object.entries({ addressees, sources })) {
    if (value !== undefined && !isNames(value, isText)) {
      return err(`${name} must be at most ${MAX_NAMES} texts of at most ${MAX_NAME_LENGTH} characters`);
    }
  }
  if (strict !== undefined && typeof strict !== 'boolean') return err('strict must be true or false');
  if (inferred !== undefined && inferred !== true) return err('inferred must be true or absent');
  const read = limits === undefined ? ok(undefined) : parseLimits(limits);
  if (!read.ok) return read;
  return ok({
    ...(capabilities === undefined ? {} : { capabilities: sorted(capabilities) }),
    ...(addressees === undefined ? {} : { addressees: sorted(addressees).map(normal) }),
    ...(sources === undefined ? {} : { sources: sorted(sources) }),
    ...(read.value === undefined ? {} : { limits: read.value }),
    ...(strict === undefined ? {} : { strict }),
    ...(inferred === undefined ? {} : { inferred }),
  });
}

function isNames(value: JsonValue, isName: (name: string) => boolean): value is string[] {
  if (!Array.isArray(value) || value.length > MAX_NAMES) return false;
  return value.every((name: JsonValue) => typeof name === 'string' && isName(name));
}

function isText(text: string): boolean {
  return text.trim() !== '' && text.length <= MAX_NAME_LENGTH && text.isWellFormed() && !/\p{Cc}/u.test(text);
}

function sorted(names: JsonValue): string[] {
  return Array.isArray(names) ? [...new Set(names as string[])].sort() : [];
}

const normal = (address: string): string => address.trim().toLowerCase();

function parseLimits(value: JsonValue): Result<IntentLimits, string> {
  if (!isJsonObject(value)) return err('limits must be an object');
  const { amounts, calls, ...others } = value;
  if (Object.keys(others).length > 0) return err('limits: known are amounts and calls');
  const isAmount = (most: JsonValue): boolean => typeof most === 'number' && most >= 0;
  const isCount = (most: JsonValue): boolean =>
    isAmount(most) && Number.isInteger(most) && Number(most) <= 1e9;
  if (amounts !== undefined && !isLimits(amounts, ARGUMENT, isAmount)) {
    return err('limits.amounts must give names of arguments a number, 0 or more');
  }
  if (calls !== undefined && !isLimits(calls, CAPABILITY, isCount)) {
    return err('limits.calls must give capabilities a whole number, 0 or more');
  }
  return ok({ ...(amounts === undefined ? {} : { amounts }), ...(calls === undefined ? {} : { calls }) });
}

function isLimits(
  value: JsonValue,
  names: RegExp,
  isMost: (most: JsonValue) => boolean,
): value is Record<string, number> {
  if (!isJsonObject(value)) return false;
  const entries = Object.entries(value);
  return entries.length <= MAX_NAMES && entries.every(([name, most]) => names.test(name) && isMost(most));
}

/**
 * What is declared under a ceiling: what is wanted, and of lists and limits that are not stated as much as the
 * ceiling has. Nothing is clamped: to want more is a refusal.
 *
 * INVARIANT: the result is a subset of the ceiling in every part.
 */
export function declareWithin(
  ceiling: DeclarationCeiling,
  wanted: Declaration,
): Result<Omit<Declaration, 'strict'> & { readonly strict?: true }, DeclarationRefusal> {
  const { capabilities = ceiling.capabilities } = wanted;
  const capability = capabilities.find((name) => !ceiling.capabilities.includes(name));
  if (capability !== undefined) return err({ part: 'capabilities', value: capability });
  for (const part of ['addressees', 'sources'] as const) {
    const most = ceiling[part];
    const beyond = wanted[part]?.find((name) => most !== undefined && !isCovered(name, most));
    if (beyond !== undefined) return err({ part, value: beyond });
  }
  const limits = tighten(ceiling.limits ?? {}, wanted.limits ?? {});
  if (!limits.ok) return limits;
  if (ceiling.strict === true && wanted.strict === false) return err({ part: 'strict' });
  const { addressees = ceiling.addressees, sources = ceiling.sources } = wanted;
  const isInferred = wanted.inferred === true || ceiling.inferred === true;
  const isStrict = wanted.strict === true || ceiling.strict === true;
  return ok({
    ...(capabilities.length === 0 ? {} : { capabilities }),
    ...(addressees === undefined || addressees.length === 0 ? {} : { addressees }),
    ...(sources === undefined || sources.length === 0 ? {} : { sources }),
    ...(Object.keys(limits.value).length === 0 ? {} : { limits: limits.value }),
    ...(isStrict ? { strict: true } : {}),
    ...(isInferred && capabilities.length > 0 ? { inferred: true } : {}),
  });
}

/** `@example.org` in a ceiling covers every address of that domain, and no address of a domain below it. */
function isCovered(name: string, ceiling: readonly string[]): boolean {
  if (ceiling.includes(name)) return true;
  const at = name.lastIndexOf('@');
  return at > 0 && name.indexOf('@') === at && ceiling.includes(name.slice(at));
}

function tighten(ceiling: IntentLimits, wanted: IntentLimits): Result<IntentLimits, DeclarationRefusal> {
  const limits: { amounts?: Record<string, number>; calls?: Record<string, number> } = {};
  for (const kind of ['amounts', 'calls'] as const) {
    const most = ceiling[kind] ?? {};
    const own = wanted[kind] ?? {};
    const beyond = Object.keys(own).find(
      (name) => Object.hasOwn(most, name) && (own[name] ?? 0) > (most[name] ?? 0),
    );
    if (beyond !== undefined) return err({ part: `limits.${kind}`, value: beyond });
    const merged = { ...most, ...own };
    if (Object.keys(merged).length > 0) limits[kind] = merged;
  }
  return ok(limits);
}

/** A declaration as tokens and the log carry it; empty when nothing was declared. */
export function declarationJson(intent: Declaration): JsonObject {
  const { capabilities, addressees, sources, limits, strict, inferred } = intent;
  return {
    ...(capabilities === undefined ? {} : { capabilities }),
    ...(addressees === undefined ? {} : { addressees }),
    ...(sources === undefined ? {} : { sources }),
    ...(limits === undefined ? {} : { limits: limitsJson(limits) }),
    ...(strict === undefined ? {} : { strict }),
    ...(inferred === undefined ? {} : { inferred }),
  };
}

function limitsJson({ amounts, calls }: IntentLimits): JsonObject {
  return { ...(amounts === undefined ? {} : { amounts }), ...(calls === undefined ? {} : { calls }) };
}

/** What a run declared as the most that one delegated from it may declare: nothing more than itself. */
export function ceilingOfIntent(intent: Declaration): DeclarationCeiling {
  const { capabilities = [], addressees = [], sources = [], limits, strict, inferred } = intent;
  return {
    capabilities,
    addressees,
    sources,
    ...(limits === undefined ? {} : { limits }),
    ...(strict === undefined ? {} : { strict }),
    ...(inferred === undefined ? {} : { inferred }),
  };
}

/** Does a request declare again what a run declared? Each part it states must be the same. */
export function declaresSameParts(own: Declaration, wanted: Declaration): boolean {
  const isSame = (a: readonly string[] = [], b: readonly string[] | undefined): boolean =>
    b === undefined || (a.length === b.length && a.every((name) => b.includes(name)));
  const isSameLimit = (kind: keyof IntentLimits): boolean =>
    Object.entries(wanted.limits?.[kind] ?? {}).every(([name, most]) => own.limits?.[kind]?.[name] === most);
  return (
    isSame(own.capabilities, wanted.capabilities) &&
    isSame(own.addressees, wanted.addressees) &&
    isSame(own.sources, wanted.sources) &&
    isSameLimit('amounts') &&
    isSameLimit('calls') &&
    (wanted.strict === undefined || wanted.strict === (own.strict === true)) &&
    (wanted.inferred === undefined || own.inferred === true)
  );
}
