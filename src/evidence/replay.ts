import { askedFor, canonicalJson, type JsonObject } from '../base/index.ts';
import type { RecordedCall } from './recording.ts';

/** A request of an agent that is run again. */
export type ReplayRequest = {
  readonly upstream: string;
  readonly method: string;
  readonly params: JsonObject;
};

/** `served`: as recorded. `diverged`: the agent asks something else now. `unknown`: the record cannot answer. */
export type ReplayStep =
  | { readonly kind: 'served'; readonly call: RecordedCall }
  | { readonly kind: 'diverged'; readonly at: number; readonly why: string }
  | { readonly kind: 'unknown'; readonly at: number; readonly why: string };

/** The answers of one run, given again to the same agent. */
export interface Replay {
  /** Once the agent has departed from the record, every answer says so. */
  next(request: ReplayRequest): ReplayStep;
  readonly served: number;
  readonly total: number;
  /** Where and why it stopped; undefined while the agent does what it did. */
  readonly stopped: Exclude<ReplayStep, { kind: 'served' }> | undefined;
}

/** What every client sends in its own way and which says nothing about the task. */
const HANDSHAKE: ReadonlySet<string> = new Set([
  'initialize',
  'server/discover',
  'ping',
  'notifications/initialized',
]);

/**
 * A request is served by the earliest recorded call with the same target and the same arguments that was not served
 * yet. What the agent did after it had an answer, it must do after it has that answer: calls that were under way at
 * the same time may come in any order, others not.
 */
export function createReplay(calls: readonly RecordedCall[]): Replay {
  const open = new Set(calls);
  let stopped: Replay['stopped'];
  let served = 0;

  function stop(step: Exclude<ReplayStep, { kind: 'served' }>): ReplayStep {
    stopped = step;
    return step;
  }

  return {
    get served() {
      return served;
    },
    total: calls.length,
    get stopped() {
      return stopped;
    },
    next(request) {
      if (stopped !== undefined) return stopped;
      const [due] = open;
      const at = due?.number ?? calls.length + 1;
      const alike = [...open].filter((call) => isAtSameTarget(call, request));
      const wanted = canonicalJson(askedFor({ method: request.method, params: request.params }));
      const isHandshake = HANDSHAKE.has(request.method);
      const match = alike.find(({ args }) => isHandshake || args === wanted);
      if (match === undefined) {
        const lost = alike.find(({ args }) => args === undefined);
        if (lost !== undefined && lost === alike[0])
          return stop({ kind: 'unknown', at: lost.number, why: 'its arguments were not kept' });
        return stop({ kind: 'diverged', at, why: whyOther(request, alike[0], due) });
      }
      const skipped = [...open].find((call) => call.ended < match.begun && !HANDSHAKE.has(call.method));
      if (skipped !== undefined)
        return stop({
          kind: 'diverged',
          at: skipped.number,
          why: `${nameOf(skipped)} did not come before ${nameOf(match)}`,
        });
      if (match.answer.kind === 'lost')
        return stop({ kind: 'unknown', at: match.number, why: match.answer.why });
      open.delete(match);
      served++;
      return { kind: 'served', call: match };
    },
  };
}

function isAtSameTarget(call: RecordedCall, { upstream, method, params }: ReplayRequest): boolean {
  if (call.upstream !== upstream || call.method !== method) return false;
  return method !== 'tools/call' || call.tool === params['name'];
}

function whyOther(
  request: ReplayRequest,
  alike: RecordedCall | undefined,
  due: RecordedCall | undefined,
): string {
  const { upstream, method, params } = request;
  const asked = method === 'tools/call' ? `${upstream}/${String(params['name'])}` : `${upstream} ${method}`;
  if (alike !== undefined) return `${asked} comes with other arguments than recorded`;
  return due === undefined
    ? `${asked} comes after the end`
    : `${asked} comes where ${nameOf(due)} was recorded`;
}

function nameOf({ upstream, method, tool }: RecordedCall): string {
  return tool === undefined ? `${upstream} ${method}` : `${upstream}/${tool}`;
}
