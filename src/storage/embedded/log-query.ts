import type { DatabaseSync } from 'node:sqlite';
import { type CallId, parseCallId, parseRunId } from '../../base/index.ts';
import { type Descending, type Filter, intersect, isIndexed, unite } from '../../intent-log/index.ts';
import type { IndexDelta } from './index-delta.ts';
import { readStrand } from './index-queries.ts';

/** What a query reads from: the index up to a record, and what comes after it. */
export type Searched = {
  readonly index: DatabaseSync | undefined;
  /** Index of the first record that is in `tail` and not in the index. */
  readonly end: number;
  readonly tail: IndexDelta;
};

/** Requests, when a filter does not say otherwise. */
const REQUESTS = ['type=intent', 'type=refusal'];
const PAGE = 8;

/** Where records are that may fit a filter, newest first: what the index cannot tell is left to the caller. */
export function* candidates(filter: Filter, searched: Searched): Generator<number, undefined> {
  const { from, to } = rangeOf(filter, searched);
  const asksForType = filter.any.some((terms) => terms.some((term) => term.startsWith('type=')));
  const clauses = asksForType ? filter.any : [...filter.any, REQUESTS];
  const lists = clauses.flatMap((terms) => listOf(terms, searched) ?? []);
  const found = lists.length === 0 ? countDown(Math.min(to, searched.tail.next) - 1) : intersect(lists);
  for (const idx of found) {
    if (idx < from) return;
    if (idx < to) yield idx;
  }
}

/** The index of the outcome of an intent, if it has one. */
export function outcomeOf(intent: number, call: CallId, { index, tail }: Searched): number | undefined {
  const fresh = tail.outcomes.get(intent) ?? tail.settled.get(call);
  if (fresh !== undefined) return fresh;
  const row = index?.prepare('SELECT outcome FROM outcomes WHERE intent = ?').get(intent);
  return row === undefined ? undefined : Number(row['outcome']);
}

/** The index of the intent or refusal of a call. */
export function placeOfCall(call: CallId, { index, tail }: Searched): number | undefined {
  const fresh = tail.calls.get(call);
  if (fresh !== undefined) return fresh;
  const row = index?.prepare('SELECT idx FROM calls WHERE call = ?').get(call);
  return row === undefined ? undefined : Number(row['idx']);
}

/** Undefined when the index cannot tell. */
function listOf(terms: readonly string[], searched: Searched): Descending | undefined {
  const lists = terms.map((term) => {
    if (isIndexed(term)) return postingsOf(term, searched);
    const value = term.slice(term.indexOf('=') + 1);
    return term.startsWith('run=') ? recordsOfRun(value, searched) : recordsOfCall(value, searched);
  });
  return unite(lists);
}

function* postingsOf(term: string, { index, tail, end }: Searched): Generator<number, undefined> {
  yield* (tail.postings.get(term) ?? []).toReversed();
  const read = index?.prepare(
    'SELECT first, list FROM postings WHERE term = ? AND first < ? ORDER BY first DESC LIMIT ?',
  );
  for (let before = end; ; ) {
    const rows = read?.all(term, before, PAGE) ?? [];
    for (const { list } of rows) yield* (JSON.parse(String(list)) as number[]).toReversed();
    if (rows.length < PAGE) return undefined;
    before = Number(rows.at(-1)?.['first']);
  }
}

/** The erasures of a run stand in the strand of the gateway, and are found by their type. */
function* recordsOfRun(value: string, searched: Searched): Generator<number, undefined> {
  const run = parseRunId(value);
  if (run === undefined) return undefined;
  const { index, tail, end } = searched;
  const known = index === undefined ? [] : readStrand(index, run).filter((idx) => idx < end);
  const own = [...known, ...(tail.strands.get(run)?.records ?? [])].reverse();
  yield* unite([own.values() as Descending, postingsOf('type=erasure', searched)]);
  return undefined;
}

function* recordsOfCall(value: string, searched: Searched): Generator<number, undefined> {
  const call = parseCallId(value);
  const idx = call === undefined ? undefined : placeOfCall(call, searched);
  if (idx !== undefined) yield idx;
  return undefined;
}

function* countDown(from: number): Generator<number, undefined> {
  for (let idx = from; idx >= 0; idx--) yield idx;
  return undefined;
}

/** The records among which those of a time are; clocks step back, so there may be others among them. */
function rangeOf({ since, until }: Filter, { index, end }: Searched): { from: number; to: number } {
  const whole = { from: 0, to: Number.POSITIVE_INFINITY };
  if (index === undefined) return whole;
  const first =
    since === undefined
      ? 0
      : (index.prepare('SELECT min(first) AS n FROM stretches WHERE max_at >= ?').get(since)?.['n'] ?? end);
  if (until === undefined) return { ...whole, from: Number(first) };
  const last = index.prepare('SELECT max(first) AS n FROM stretches WHERE min_at <= ?').get(until)?.['n'];
  const next =
    last === null || last === undefined
      ? undefined
      : index.prepare('SELECT min(first) AS n FROM stretches WHERE first > ?').get(last)?.['n'];
  return { from: Number(first), to: next === null || next === undefined ? whole.to : Number(next) };
}
