import { type Clock, err, ok, type Result, toEpochSeconds, type UpstreamName } from '../base/index.ts';
import {
  type AgentRegistry,
  contain,
  isStopping,
  type KillSwitches,
  type Run,
  type RunJournal,
  type RunStore,
  type RunWatch,
  type Stop,
  type StopTarget,
  stopKey,
} from '../identity/index.ts';
import type { IntentLog } from '../intent-log/index.ts';
import { type CutDeps, cutRun } from './run-journal.ts';

/** The kill switches as operators use them. Who and why is in the log before anything is acknowledged. */
export type Containment = {
  /** Takes over what is thrown already, and follows what other gateways end and stop. */
  start(): void;
  /** Resolves with the runs it ended; the error says what is wrong with the target. */
  stop(target: StopTarget, by: string, reason: string): Promise<Result<readonly Run[], string>>;
  /** False when it was not thrown. */
  lift(target: StopTarget, by: string, reason: string): Promise<boolean>;
  list(): Promise<readonly Stop[]>;
};

export type ContainmentDeps = CutDeps & {
  readonly switches: KillSwitches;
  readonly watch: RunWatch;
  readonly runs: RunStore;
  readonly journal: RunJournal;
  readonly intentLog: IntentLog;
  readonly agents: AgentRegistry;
  readonly upstreams: ReadonlyMap<UpstreamName, unknown>;
  readonly now: Clock;
};

export function createContainment(deps: ContainmentDeps): Containment {
  const { switches, watch, inFlight, intentLog, now } = deps;
  return {
    start() {
      watch.start({
        ended: (runs) => {
          for (const run of runs) cutRun(run, deps);
        },
        stopped: (target) => inFlight.stop(target),
        lifted: (target) => inFlight.resume(target),
        lost: () => inFlight.abortAll(),
        underWay: () => inFlight.runs(),
      });
    },

    async stop(target, by, reason) {
      if (!(await isKnown(target, deps))) return err(`no ${target.scope} has this name`);
      const stop: Stop = { ...target, by, reason, since: toEpochSeconds(now()) };
      const ended = await contain(stop, {
        ...deps,
        switches: {
          ...switches,
          async stop() {
            await switches.stop(stop);
            inFlight.stop(target);
            await intentLog.append({ type: 'killswitch', act: 'stop', target: stopKey(target), by, reason });
          },
        },
      });
      return ok(ended);
    },

    async lift(target, by, reason) {
      if (!(await switches.lift(target))) return false;
      inFlight.resume(target);
      await intentLog.append({ type: 'killswitch', act: 'lift', target: stopKey(target), by, reason });
      return true;
    },

    list: () => switches.list(),
  };
}

/** A switch with a mistyped name would stop nothing and say that it did. */
async function isKnown(target: StopTarget, deps: ContainmentDeps): Promise<boolean> {
  const { agents, upstreams, runs } = deps;
  if (target.scope === 'all') return true;
  if (target.scope === 'upstream') return [...upstreams.keys()].some((name) => name === target.name);
  const isOwner = target.scope === 'owner';
  if (agents.list().some(({ name, owner }) => (isOwner ? owner.name : name) === target.name)) return true;
  return (await runs.live()).some((run) => isStopping(target, [run])); // its agent may have left the registry
}
