import type { UpstreamName } from '../base/index.ts';
import type { UpstreamPort } from './call/index.ts';
import { contactUpstream, type PinDeps } from './pin-upstreams.ts';
import type { Policies } from './policies.ts';

/** What following the upstreams needs. */
export type FollowDeps = PinDeps & {
  readonly upstreams: ReadonlyMap<UpstreamName, UpstreamPort>;
  readonly policies: Policies;
};

const RETRY_MILLIS = 5_000;

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
  await loadPolicies(missing, deps);

  // Pinned upstreams are asked too, to learn of changes; nothing waits for them.
  let asking: Promise<unknown> = contactAll(known, deps);
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;

  const retry = async (): Promise<void> => {
    const before = missing.length;
    missing = await contactAll(missing, deps);
    if (missing.length === before) return;
    await loadPolicies(missing, deps).catch((error: unknown) =>
      log.error({ err: error }, 'policies not loaded'),
    );
  };
  const schedule = (): void => {
    if (missing.length === 0 || isClosed) return;
    timer = setTimeout(() => {
      asking = retry().finally(schedule);
    }, RETRY_MILLIS);
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

/** Asks upstreams side by side; returns those that could not be asked. */
async function contactAll(
  ports: readonly UpstreamPort[],
  deps: FollowDeps,
): Promise<readonly UpstreamPort[]> {
  const answers = await Promise.allSettled(ports.map((port) => contactUpstream(port, deps)));
  return ports.filter((port, i) => {
    const answer = answers[i];
    if (answer?.status !== 'rejected') return false;
    deps.log.warn(
      { upstream: port.upstream.name, err: answer.reason as unknown },
      'upstream could not be asked for its tools',
    );
    return true;
  });
}

async function loadPolicies(missing: readonly UpstreamPort[], deps: FollowDeps): Promise<void> {
  try {
    await deps.policies.load(deps.catalogue.current());
  } catch (error) {
    if (missing.length === 0) throw error;
    deps.log.error(
      { upstreams: namesOf(missing), err: error },
      'policies wait for upstreams that are missing',
    );
  }
}

function namesOf(ports: readonly UpstreamPort[]): readonly string[] {
  return ports.map((port) => port.upstream.name);
}
