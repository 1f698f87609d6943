import { toLong } from './long.ts';
import { NotRepresented } from './outcome.ts';
import { asScaled, type Long, type Scaled, type Value } from './value.ts';

const DECIMAL = /^(-?)([0-9]+)\.([0-9]{1,4})$/;

/** Undefined for a text that is no decimal, or one written in a way that is left to Cedar. */
export function parseDecimal(text: string): Scaled | undefined {
  const match = DECIMAL.exec(text);
  if (match === null) return undefined;
  const [, sign = '', whole = '', fraction = ''] = match;
  const digits = `${sign}${whole}${fraction.padEnd(4, '0')}`;
  return scaled('decimal', digits.length < 16 ? Number(digits) + 0 : toLong(BigInt(digits)));
}

const DATETIME = /^[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{3})?Z)?$/;

/** As `parseDecimal`; UTC only. */
export function parseDatetime(text: string): Scaled | undefined {
  const match = DATETIME.exec(text);
  if (match === null) return undefined;
  const whole = text.length === 10 ? `${text}T00:00:00.000Z` : match[1] ? text : `${text.slice(0, -1)}.000Z`;
  const at = new Date(whole);
  const exists = !Number.isNaN(at.getTime()) && at.toISOString() === whole; // `Date` rolls February 30 over
  return exists ? scaled('datetime', at.getTime()) : undefined;
}

const DURATION = /^(-?)(?=[0-9])(?:([0-9]+)d)?(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?(?:([0-9]+)ms)?$/;

/** As `parseDecimal`. */
export function parseDuration(text: string): Scaled | undefined {
  const match = DURATION.exec(text);
  if (match === null) return undefined;
  const [, sign, ...parts] = match;
  const [days = 0n, hours = 0n, minutes = 0n, seconds = 0n, millis = 0n] = parts.map((part) =>
    BigInt(part ?? 0),
  );
  const total = (((days * 24n + hours) * 60n + minutes) * 60n + seconds) * 1000n + millis;
  return scaled('duration', toLong(sign === '-' ? -total : total));
}

function scaled(tag: Scaled['tag'], amount: Long | undefined): Scaled | undefined {
  return amount === undefined ? undefined : { tag, amount };
}

/** A method of an extension type: the value it is called on and its argument, if it has one. */
export type Method = { readonly arity: 1 | 2; readonly apply: (self: Value, argument: Value) => Value };

const comparing = (compare: (a: Long, b: Long) => boolean): Method => ({
  arity: 2,
  apply: (a, b) => compare(asScaled(a, 'decimal').amount, asScaled(b, 'decimal').amount),
});

const measuring = (unit: number): Method => ({
  arity: 1,
  apply: (self) => {
    const amount = exact(asScaled(self, 'duration').amount);
    return (amount - (amount % unit)) / unit + 0; // toward zero, and never -0
  },
});

const DAY = 86_400_000;

/** By their names in Cedar. What concerns IP addresses is not among them. */
export const METHODS: ReadonlyMap<string, Method> = new Map<string, Method>([
  ['lessThan', comparing((a, b) => a < b)],
  ['lessThanOrEqual', comparing((a, b) => a <= b)],
  ['greaterThan', comparing((a, b) => a > b)],
  ['greaterThanOrEqual', comparing((a, b) => a >= b)],
  ['offset', { arity: 2, apply: (a, b) => shift(asScaled(a, 'datetime'), asScaled(b, 'duration')) }],
  ['durationSince', { arity: 2, apply: (a, b) => since(asScaled(a, 'datetime'), asScaled(b, 'datetime')) }],
  ['toDate', { arity: 1, apply: (self) => toDate(asScaled(self, 'datetime')) }],
  ['toTime', { arity: 1, apply: (self) => toTime(asScaled(self, 'datetime')) }],
  ['toMilliseconds', { arity: 1, apply: (self) => asScaled(self, 'duration').amount }],
  ['toSeconds', measuring(1_000)],
  ['toMinutes', measuring(60_000)],
  ['toHours', measuring(3_600_000)],
  ['toDays', measuring(DAY)],
]);

function shift(at: Scaled, by: Scaled): Scaled {
  const amount = toLong(BigInt(at.amount) + BigInt(by.amount));
  if (amount === undefined) throw new NotRepresented('a time that overflows');
  return { tag: 'datetime', amount };
}

function since(at: Scaled, from: Scaled): Scaled {
  const amount = toLong(BigInt(at.amount) - BigInt(from.amount));
  if (amount === undefined) throw new NotRepresented('a duration that overflows');
  return { tag: 'duration', amount };
}

function toDate(at: Scaled): Scaled {
  const amount = exact(at.amount);
  return { tag: 'datetime', amount: exact(amount - sinceMidnight(amount)) };
}

function toTime(at: Scaled): Scaled {
  return { tag: 'duration', amount: sinceMidnight(exact(at.amount)) };
}

/** Also before 1970, where the remainder is negative. */
const sinceMidnight = (amount: number): number => ((amount % DAY) + DAY) % DAY;

/** Times beyond 2^53 ms are 285,000 years away: left to Cedar. */
function exact(amount: Long): number {
  if (typeof amount === 'number' && Number.isSafeInteger(amount)) return amount;
  throw new NotRepresented('a time beyond 2^53 ms');
}
