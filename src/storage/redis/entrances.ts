import type { RunId } from '../../base/index.ts';
import type { Leaving } from '../../cedar/index.ts';
import type { Entering, Entrance, RunFacts } from '../../identity/index.ts';
import type { Link } from './link.ts';
import { LEAVE } from './scripts.ts';

/** The requests that this gateway has counted, and what became of them. */
export type Entrances = {
  /** A name for the next request. */
  next(): string;
  /** What the scripts answer: has a call, stopped upstreams, calls, tool calls, denials, in flight, labels. */
  parse(entry: string, entering: Entering, reply: readonly unknown[]): Entrance;
  /** Calls, tool calls, denials, in flight, labels. */
  parseFacts(reply: readonly unknown[]): RunFacts;
  /** Resolves when it is delivered, or kept to be. */
  leave(run: RunId, entrance: string, leaving: Leaving): Promise<void>;
  /** For a request of which it is not known whether it was counted. */
  abandon(run: RunId, entry: string, entering: Entering): Promise<void>;
  /** Delivers what could not be delivered so far. */
  deliver(): Promise<void>;
};

type Pending = readonly [run: string, entry: string, kind: Leaving['kind'], isToolCall: '0' | '1'];

const CAPACITY = 100_000;
const NO_LABELS: readonly string[] = [];
const NO_COUNTS: Readonly<Record<string, number>> = {};
const KNOWN_LABELS = 1_000;

/**
 * Counts that cannot be delivered now are delivered before the shared state is used again. Each is delivered once,
 * however often it is tried: an entrance is left by its name.
 */
export function createEntrances(link: Link): Entrances {
  const pending: Pending[] = [];
  const labels = new Map<string, readonly string[]>();
  let count = 0;

  function send([run, entry, kind, isToolCall]: Pending): Promise<unknown> {
    return link.runEarly(LEAVE, run, link.gateway, entry, kind, isToolCall);
  }

  /** The very same array for the same labels, so that caches keyed on it keep hitting. */
  function labelsOf(joined: string): readonly string[] {
    if (joined === '') return NO_LABELS;
    const sorted = joined.split(' ').sort();
    const key = sorted.join(' ');
    const known = labels.get(key) ?? sorted;
    if (labels.size < KNOWN_LABELS) labels.set(key, known);
    return known;
  }

  function toFacts(reply: readonly unknown[]): RunFacts {
    const [calls, toolCalls, denials, inFlight] = reply.map(Number);
    return {
      calls: calls ?? 0,
      toolCalls: toolCalls ?? 0,
      denials: denials ?? 0,
      inFlight: inFlight ?? 0,
      labels: labelsOf(String(reply[4])),
      capabilityCalls: toCounts(String(reply[5])),
    };
  }

  async function leave(run: RunId, entrance: string, leaving: Leaving): Promise<void> {
    const isToolCall = leaving.kind === 'forwarded' && leaving.isToolCall ? '1' : '0';
    const left: Pending = [run, entrance, leaving.kind, isToolCall];
    await send(left).catch(() => {
      if (pending.length < CAPACITY) pending.push(left);
    });
  }

  return {
    next: () => String(++count),
    parse(entry, entering, [hasCall, stopped, ...facts]) {
      const stoppedUpstreams = stopped === '' ? NO_LABELS : String(stopped).split(' ');
      const id = nameOf(entry, hasCall === 1 ? entering : 'message');
      return { id, facts: toFacts(facts), hasCall: hasCall === 1, stoppedUpstreams };
    },
    parseFacts: toFacts,
    leave,
    async abandon(run, entry, entering) {
      const leaving = { kind: 'turned-away' } as const;
      await Promise.all([
        leave(run, nameOf(entry, entering), leaving),
        leave(run, nameOf(entry, 'message'), leaving),
      ]);
    },
    async deliver() {
      while (pending.length > 0) {
        const some = pending.slice(0, 100);
        await Promise.all(some.map(send));
        pending.splice(0, some.length);
      }
    },
  };
}

/** `capability=count` for each, separated by spaces. */
function toCounts(joined: string): Readonly<Record<string, number>> {
  if (joined === '') return NO_COUNTS;
  return Object.fromEntries(
    joined.split(' ').map((pair) => {
      const at = pair.lastIndexOf('=');
      return [pair.slice(0, at), Number(pair.slice(at + 1))];
    }),
  );
}

/** What the scripts call an entrance: they see by it whether a call was taken. */
function nameOf(entry: string, entered: Entering): string {
  return `${entry} ${entered}`;
}
