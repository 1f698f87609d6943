import { isJsonObject, type JsonValue, SallyportError, sha256 } from '../base/index.ts';
import { type Filter, type Found, type LogRecord, parseFilter } from '../intent-log/index.ts';
import { type ContentReader, openContentReader } from '../storage/index.ts';
import type { ReadCommand } from './log.ts';
import { openQueries, requireFolder } from './open-queries.ts';
import { asciiJson, printable } from './printable.ts';

export type QueryCommand = ReadCommand & {
  readonly json?: boolean;
  readonly limit: string;
};

export type FollowCommand = ReadCommand & {
  readonly json?: boolean;
  /** Aborted when the user wants it to end. */
  readonly signal: AbortSignal;
};

const MOST = 10_000;
/** Arguments and results opened in one search for a value; the answer says when there were more. */
const MOST_OPENED = 20_000;

/** Prints the newest requests that fit a filter, newest first. Exit code 0, or 1 when there are none. */
export async function logQuery(text: string, { out, json, limit, ...from }: QueryCommand): Promise<number> {
  const filter = filterOf(text);
  const most = Number(limit);
  if (!Number.isInteger(most) || most < 1 || most > MOST) {
    throw new SallyportError('ERR_CONFIG_INVALID', `--limit must be a whole number from 1 to ${MOST}`);
  }
  if (filter.value !== undefined || filter.digest !== undefined) requireFolder(from, 'value and digest');
  await using queries = await openQueries(from);
  using content = openContentReader(from.folder);
  const says = createSearch(filter, content);
  let printed = 0;
  for await (const found of queries.find(filter)) {
    if (says.opened >= MOST_OPENED) {
      out(
        `stopped after ${MOST_OPENED} arguments and results; narrow the filter, with until= for older ones`,
      );
      break;
    }
    if (!says.matches(found)) continue;
    out(json === true ? asciiJson(found) : lineOf(found));
    if (++printed === most) {
      if (json !== true) out(`the newest ${most}; use --limit or until= for more`);
      break;
    }
  }
  if (printed === 0 && json !== true) out('nothing in the log fits');
  return printed === 0 ? 1 : 0;
}

/** Prints records as they are written, until it is told to stop. Exit code 0. */
export async function logFollow(
  text: string,
  { out, json, signal, ...from }: FollowCommand,
): Promise<number> {
  const filter = filterOf(text);
  if (filter.value !== undefined || filter.digest !== undefined || filter.status.length > 0) {
    throw new SallyportError('ERR_CONFIG_INVALID', 'value, digest and status are for "log query" only');
  }
  await using queries = await openQueries(from);
  for await (const found of queries.follow(filter, signal)) {
    out(json === true ? asciiJson(found.origin === undefined ? found.record : found) : lineOf(found));
  }
  return 0;
}

/** Reads a filter. Throws `ERR_CONFIG_INVALID`. */
export function filterOf(text: string): Filter {
  const filter = parseFilter(text);
  if (filter.ok) return filter.value;
  throw new SallyportError('ERR_CONFIG_INVALID', `filter: ${printable(filter.error)}`);
}

/** Looks into what is kept of calls, for a value or for the digest of the whole. */
function createSearch({ value, digest }: Filter, content: ContentReader) {
  let opened = 0;
  const holds = (text: string): boolean =>
    (digest === undefined || sha256(text) === digest) &&
    (value === undefined || hasLeaf(JSON.parse(text) as JsonValue, value));
  return {
    get opened() {
      return opened;
    },
    matches({ record, outcome }: Found): boolean {
      if (value === undefined && digest === undefined) return true;
      if ((record.type !== 'intent' && record.type !== 'refusal') || record.run === undefined) return false;
      const parts = [record, ...(outcome === undefined ? [] : [outcome])].map((each) => content.find(each));
      opened += 2;
      return parts.some((part) => part.state === 'kept' && holds(part.text));
    },
  };
}

/** Is a text one of the strings or numbers of a value? */
function hasLeaf(value: JsonValue, text: string): boolean {
  if (typeof value === 'string') return value === text;
  if (Array.isArray(value)) return value.some((item: JsonValue) => hasLeaf(item, text));
  if (isJsonObject(value)) return Object.values(value).some((item) => hasLeaf(item ?? null, text));
  return String(value) === text;
}

/** A record as one line for people; every text of others made visible. */
export function lineOf({ record, outcome, origin }: Found): string {
  const place = origin === undefined ? '' : `${printable(origin)} `;
  const head = `${place}${record.idx}  ${record.at}  `;
  return head + describe(record, outcome);
}

function describe(record: LogRecord, outcome: Found['outcome']): string {
  switch (record.type) {
    case 'intent':
    case 'refusal': {
      const { actor, subject, decision } = record;
      const who = actor === undefined ? 'nobody' : `${actor.agent} run ${actor.run}`;
      const what = subject?.tool === undefined ? subject?.method : subject.tool;
      const early = record.type === 'refusal' ? record.early?.reason : undefined;
      const why =
        decision === undefined ? `refused ${early ?? ''}` : `${decision.effect} ${decision.code ?? ''}`;
      const by = decision?.policies.length ? ` [${decision.policies.join(' ')}]` : '';
      const end = record.type === 'intent' && outcome !== undefined ? `  ${outcome.status}` : '';
      return printable(
        `${who}  ${subject?.upstream ?? ''}/${what ?? ''}  ${why.trim()}${by}${end}  call ${record.call}`,
      );
    }
    case 'outcome':
      return printable(`outcome ${record.status}  call ${record.call}`);
    case 'run.open':
      return printable(
        `run ${record.run} of ${record.agent} (${record.purpose}), owner ${record.owner.name}`,
      );
    case 'run.close':
      return printable(`run ${record.run} ${record.state} by ${record.by}: ${record.reason}`);
    case 'erasure':
      return printable(`content of ${record.runs.join(', ')} erased by ${record.by}: ${record.reason}`);
    case 'policyset.load':
      return printable(`policy set ${record.revision} in force: ${record.policies.join(' ')}`);
    case 'toolset.pin':
      return printable(`tools of ${record.upstream} pinned by ${record.by ?? 'nobody'}`);
    case 'key.rotate':
      return printable(`key of the log changed by ${record.by}: ${record.reason}`);
    case 'log.open':
      return printable(`log ${record.origin} in place of ${record.previous.origin}: ${record.reason}`);
    case 'taint':
      return printable(`labels ${record.labels.join(' ')}  call ${record.call}`);
    default:
      return record.type;
  }
}
