import { err, ok, parseRunId, type Result } from '../../base/index.ts';
import type { OutcomeStatus } from '../call-records.ts';
import type { LogRecord } from '../record.ts';
import { TERM_FIELDS, type TermField, termsOf, toTerm } from './terms.ts';

/** What to look for: every clause must hold. */
export type Filter = {
  /** Each list: at least one of its terms. */
  readonly any: readonly (readonly string[])[];
  readonly none: readonly string[];
  readonly status: readonly OutcomeStatus[];
  /** Milliseconds since the epoch, both included. */
  readonly since?: number;
  readonly until?: number;
  /** A text that an argument or result must hold as a whole value. */
  readonly value?: string;
  /** SHA-256 over the RFC 8785 form of arguments or result, as in a call token. */
  readonly digest?: string;
};

const STATUSES: readonly string[] = [
  'ok',
  'tool_error',
  'rpc_error',
  'upstream_failed',
  'cancelled',
  'unknown',
] satisfies OutcomeStatus[];

const CLAUSE = /^([a-z]+)(!?=)("(?:[^"\\]|\\.)*"|\S*)$/s;
const FIELDS = [...TERM_FIELDS, 'status', 'since', 'until', 'value', 'digest'].join(', ');

/**
 * Reads a filter such as `agent=ops-desk decision=forbid,ask tool!=files/read since=2026-03-01`. Clauses are joined by
 * and, values after a comma by or; a value with spaces or commas stands in double quotes. The error says what is wrong.
 */
export function parseFilter(text: string): Result<Filter, string> {
  const any: string[][] = [];
  const none: string[] = [];
  const rest: { -readonly [K in 'since' | 'until']?: number } & { value?: string; digest?: string } = {};
  let status: OutcomeStatus[] = [];
  for (const clause of text.match(/(?:[^\s"]|"(?:[^"\\]|\\.)*")+/g) ?? []) {
    const parts = CLAUSE.exec(clause);
    if (parts === null) return err(`"${clause}" must be field=value; fields are ${FIELDS}`);
    const [, field = '', operator, raw = ''] = parts;
    const values = valuesOf(raw);
    const [first] = values;
    if (first === undefined) return err(`"${clause}" must have a value`);
    if (isTermField(field)) {
      if (field === 'run' && values.some((value) => parseRunId(value) === undefined))
        return err(`"${clause}" must name run ids`);
      const terms = values.map((value) => toTerm(field, value));
      if (operator === '=') any.push(terms);
      else none.push(...terms);
      continue;
    }
    if (operator === '!=') return err(`"${clause}": != is not for ${field}`);
    if (field === 'status') {
      if (!values.every(isStatus)) return err(`status must be one of ${STATUSES.join(', ')}`);
      status = values.filter(isStatus);
    } else if (field === 'since' || field === 'until') {
      const time = Date.parse(first);
      if (Number.isNaN(time)) return err(`${field} must be a date or time such as 2026-03-01T12:00Z`);
      rest[field] = time;
    } else if (field === 'value' || field === 'digest') {
      rest[field] = raw.startsWith('"') ? first : raw;
    } else return err(`there is no field "${field}"; fields are ${FIELDS}`);
  }
  return ok({ any, none, status, ...rest });
}

/** Does a record fit, as far as the record itself says? `status`, `value` and `digest` are about what is beside it. */
export function fits(record: LogRecord, filter: Filter): boolean {
  const time = Date.parse(record.at);
  if (filter.since !== undefined && time < filter.since) return false;
  if (filter.until !== undefined && time > filter.until) return false;
  const terms = new Set(termsOf(record));
  if (filter.none.some((term) => terms.has(term))) return false;
  return filter.any.every((choices) => choices.some((term) => terms.has(term)));
}

function valuesOf(raw: string): string[] {
  if (raw.startsWith('"')) return [raw.slice(1, -1).replaceAll(/\\(.)/gs, '$1')];
  return raw.split(',').filter((value) => value !== '');
}

function isTermField(field: string): field is TermField {
  return (TERM_FIELDS as readonly string[]).includes(field);
}

function isStatus(value: string): value is OutcomeStatus {
  return STATUSES.includes(value);
}
