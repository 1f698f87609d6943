import type { UpstreamName } from '../base/index.ts';
import type { UpstreamPort } from './call/index.ts';
import { askUpstream, type PinDeps, takeDescription } from './pin-upstreams.ts';
import type { Policies } from './policies.ts';

/** What following the upstreams needs. */
export type FollowDeps = PinDeps & {
  readonly upstreams: ReadonlyMap<UpstreamName, UpstreamPort>;
  readonly policies: Policies;
};

const FIRST_RETRY_MILLIS = 1_000;
const LONGEST_RETRY_MILLIS = 300_000;

/**
 * Brings pins and policies up and keeps them so: contacts the upstreams that are not pinned, loads the policies
 * as soon as they fit what is known, and goes on asking upstreams that did not answer. When nothing is missing
 * and the policies still do not fit, they are wrong: rejects with `ERR_POLICY_INVALID`.
 */
export async function followUpstreams(deps: FollowDeps): Promise<AsyncDisposable> {
  const { upstreams, catalogue, policies, log } = deps;
  const unknown = [...upstreams.values()].filter(({ upstream }) => !catalogue.isPinned(upstream.name));
  const known = [...upstreams.values()].filter((port) => !unknown.includes(port));
  let missing = await contactAll(unknown, deps);
  // Pinned upstreams are asked too, to learn of changes; only policies that do not fit wait for them.
  const comparing = contactAll(known, deps);
  let asking: Promise<unknown> = comparing;
  await loadPolicies(missing, deps, comparing);

  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;

  const retry = async (): Promise<void> => {
    const before = missing.length;
    missing = await contactAll(missing, deps);
    if (missing.length === before) return;
    wait = FIRST_RETRY_MILLIS;
    await loadPolicies(missing, deps).catch((error: unknown) =>
      log.error({ err: error }, 'policies not loaded'),
    );
  };
  let wait = FIRST_RETRY_MILLIS;
  const schedule = (): void => {
    if (missing.length === 0 || isClosed) return;
    timer = setTimeout(() => {
      asking = retry().finally(schedule);
    }, wait);
    wait = Math.min(wait * 2, LONGEST_RETRY_MILLIS);
  };
  schedule();
  if (policies.isLoaded && missing.length > 0)
    log.warn({ upstreams: namesOf(missing) }, 'serving without these upstreams');

  return {
    async [Symbol.asyncDispose]() {
      isClosed = true;
      clearTimeout(timer);
      await asking;
    },
  };
}

/**
 * Asks upstreams side by side and takes their answers in the order of the configuration, which says whose tool
 * was first when two look alike. Returns those that could not be asked.
 */
async function contactAll(
  ports: readonly UpstreamPort[],
  deps: FollowDeps,
): Promise<readonly UpstreamPort[]> {
  const answers = await Promise.allSettled(ports.map((port) => askUpstream(port, deps)));
  const silent: UpstreamPort[] = [];
  for (const [i, port] of ports.entries()) {
    const answer = answers[i];
    try {
      if (answer?.status === 'fulfilled') await takeDescription(port, answer.value, deps);
      else throw answer?.reason;
    } catch (error) {
      const { name } = port.upstream;
      deps.log.warn({ upstream: name, err: error }, 'upstream could not be asked for its tools');
      silent.push(port);
    }
  }
  return silent;
}

/**
 * Policies that name what is missing or not reviewed yet wait for it: a gateway that did not start could not be
 * told that a review is done.
 */
async function loadPolicies(
  missing: readonly UpstreamPort[],
  deps: FollowDeps,
  comparing?: Promise<unknown>,
): Promise<void> {
  try {
    await deps.policies.load(deps.catalogue.current());
  } catch (error) {
    await comparing;
    const { upstreams, catalogue, log } = deps;
    const unreviewed = [...upstreams.values()].filter(({ upstream }) =>
      catalogue.awaitsReview(upstream.name),
    );
    const awaited = [...new Set([...missing, ...unreviewed])];
    if (awaited.length === 0) throw error;
    log.error(
      { upstreams: namesOf(awaited), err: error },
      'policies wait for upstreams that are missing or not reviewed',
    );
  }
}

function namesOf(ports: readonly UpstreamPort[]): readonly string[] {
  return ports.map((port) => port.upstream.name);
}
