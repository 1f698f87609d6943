import type { RunId } from '../base/index.ts';
import type { Chain } from './run.ts';

/** What a kill switch stops: everything, or all that has to do with one agent, owner or upstream. */
export type StopTarget =
  | { readonly scope: 'all' }
  | { readonly scope: 'agent' | 'owner' | 'upstream'; readonly name: string };

/** A kill switch that is thrown, with who did it and why. */
export type Stop = StopTarget & {
  readonly by: string;
  readonly reason: string;
  /** Seconds since the epoch. */
  readonly since: number;
};

/**
 * The operators' kill switches. They outlive a restart of every part. A rejected promise means "not known to be
 * in force": say so to the operator.
 */
export interface KillSwitches {
  /**
   * Throws a switch, also one that is thrown. In force for every `admit` and `open` that starts after the call.
   * When it resolves it is durable, and no other gateway has anything under way that it stops.
   */
  stop(stop: Stop): Promise<void>;
  /** False when it was not thrown. What it ended stays ended. */
  lift(target: StopTarget): Promise<boolean>;
  /** Those that are thrown. */
  list(): Promise<readonly Stop[]>;
}

/** What a gateway does when others tell it something. Each cuts before it returns. */
export type Watcher = {
  ended(runs: readonly RunId[]): void;
  stopped(target: StopTarget): void;
  lifted(target: StopTarget): void;
  /** Out of touch for so long that others may have ended runs unheard: everything under way has to go. */
  lost(): void;
  /** The runs of everything under way, to be compared with the store. */
  underWay(): Iterable<RunId>;
};

/**
 * Keeps what is under way at this gateway in step with what others on the same store end. Word of it is a wake-up
 * that may get lost; the comparison with the store, made all the time, is what counts.
 */
export interface RunWatch {
  /** Tells at once of the kill switches that are known to be thrown. */
  start(watcher: Watcher): void;
  /** False: others may have ended runs unheard, so nothing may be forwarded. Asked just before it is. */
  isCurrent(): boolean;
}

/** A target in one word, for keys and messages: `all`, `agent:ops-desk`. */
export function stopKey(target: StopTarget): string {
  return target.scope === 'all' ? 'all' : `${target.scope}:${target.name}`;
}

/** Reads what `stopKey` wrote. */
export function parseStopKey(key: string): StopTarget | undefined {
  if (key === 'all') return { scope: 'all' };
  const [, scope, name] = /^(agent|owner|upstream):(.+)$/s.exec(key) ?? [];
  if (name === undefined) return undefined;
  return { scope: scope as 'agent' | 'owner' | 'upstream', name };
}

/** Does a switch stop what a run does at an upstream? Without an upstream: does it stop the run itself? */
export function isStopping(target: StopTarget, chain: Chain, upstream?: string): boolean {
  switch (target.scope) {
    case 'all':
      return true;
    case 'agent':
      return chain.some((run) => run.agent === target.name);
    case 'owner':
      return chain.some((run) => run.owner.name === target.name);
    case 'upstream':
      return upstream === target.name;
  }
}
