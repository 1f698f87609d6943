import { type AgentName, type Clock, err, ok, type Result, type RunId } from '../../base/index.ts';
import {
  type Admission,
  type AdmitRefusal,
  type KeyThumbprint,
  type OpenRefusal,
  PROOF_LIFE_SECONDS,
  type Run,
  type RunState,
  type RunStore,
} from '../../identity/index.ts';
import type { Entrances } from './entrances.ts';
import type { Link } from './link.ts';
import { ADMIT, END, FIND, FIND_BY_KEY, LIVE, OPEN } from './scripts.ts';
import { type KnownRuns, parseIds, parseRun, toChain } from './stored-run.ts';
import type { RedisWatch } from './watch.ts';

export type RunStoreDeps = {
  readonly link: Link;
  readonly watch: Pick<RedisWatch, 'isCurrent' | 'confirmed'>;
  readonly entrances: Entrances;
  readonly known: KnownRuns;
  readonly now: Clock;
  /** How many replicas must have an end before it is acknowledged. */
  readonly replicas: number;
  /** Has an agent ever used a key for a run? Asked for keys that the shared state does not know. */
  readonly keyWasUsed: (agent: AgentName, key: KeyThumbprint) => Promise<boolean>;
};

/** A run that is over is kept this long after its time, so that it gets its closing record. */
const AFTERLIFE_SECONDS = 86_400;
/** An ended run's key is refused this long by all gateways, and for good by the one whose log has it. */
const KEY_SECONDS = 90 * 86_400;

/** The runs of all gateways on one Redis. */
export function createRedisRunStore(deps: RunStoreDeps): RunStore {
  const { link, watch, entrances, known, now } = deps;
  const nowSeconds = (): number => now() / 1000;

  async function load(id: RunId): Promise<{ run: Run; state: RunState } | undefined> {
    const [body, state] = (await link.run(FIND, id)) as [string | null, RunState | null];
    return body === null || state === null ? undefined : { run: known.add(parseRun(body)), state };
  }

  async function runOf(id: RunId): Promise<Run> {
    const run = known.get(id) ?? (await load(id))?.run;
    if (run === undefined) throw new Error('a run was dropped from the shared state while it was admitted');
    return run;
  }

  async function listRuns(latestExpiry: number | '+inf'): Promise<readonly Run[]> {
    const bodies = (await link.run(LIVE, latestExpiry)) as string[];
    return bodies.map(parseRun).sort((one, other) => one.issuedAt - other.issuedAt);
  }

  return {
    async open(run): Promise<Result<void, OpenRefusal>> {
      const { expiresAt, maxCalls } = run.envelope;
      const life = Math.max(1, Math.ceil(expiresAt - nowSeconds())) + AFTERLIFE_SECONDS;
      const place = [run.parent ?? '', run.root, maxCalls, life, Math.max(life, KEY_SECONDS)] as const;
      const who = [run.agent, run.owner.name, run.key, expiresAt] as const;
      const answer = await link.run(OPEN, nowSeconds(), run.id, JSON.stringify(run), ...who, ...place);
      if (answer !== 'ok') return err(answer as OpenRefusal);
      await link.replicated(deps.replicas);
      return ok(undefined);
    },

    async findByKey(agent, key) {
      const [id, body, state] = (await link.run(FIND_BY_KEY, agent, key)) as (string | null)[];
      if (typeof id !== 'string') return (await deps.keyWasUsed(agent, key)) ? 'forgotten' : undefined;
      if (typeof body !== 'string' || typeof state !== 'string') return 'forgotten';
      return { run: known.add(parseRun(body)), state: state as RunState };
    },

    find: load,

    async admit(request): Promise<Result<Admission, AdmitRefusal>> {
      const { run, key, proofId, proofExpiresAt, entering } = request;
      const entry = entrances.next();
      const proof = [
        proofId,
        proofExpiresAt - PROOF_LIFE_SECONDS,
        Math.max(1, Math.ceil(proofExpiresAt - nowSeconds())),
      ] as const;
      try {
        const reply = await link.run(
          ADMIT,
          nowSeconds(),
          run,
          key,
          ...proof,
          entering ?? '',
          link.gateway,
          entry,
        );
        const [answer, ids, ...entered] = reply as [string, ...unknown[]];
        if (answer !== 'ok') return err(answer as AdmitRefusal);
        if (!watch.isCurrent()) throw new Error('the lease of this gateway has run out');
        const chain = toChain(await Promise.all(parseIds(ids).map(runOf)));
        return ok(
          entering === undefined ? { chain } : { chain, entrance: entrances.parse(entry, entering, entered) },
        );
      } catch (error) {
        if (entering !== undefined) void entrances.abandon(run, entry, entering); // it may have been counted
        throw error;
      }
    },

    async end(id, ending) {
      const [number, gateways, bodies] = (await link.run(END, id, ending.state, link.gateway)) as [
        number?,
        string[]?,
        string[]?,
      ];
      if (number === undefined || gateways === undefined || bodies === undefined) return [];
      await Promise.all([link.replicated(deps.replicas), watch.confirmed(number, gateways)]);
      return bodies.map(parseRun);
    },

    live: () => listRuns('+inf'),
    overdue: () => listRuns(nowSeconds()),
  };
}
