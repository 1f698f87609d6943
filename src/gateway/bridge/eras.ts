import type { Logger } from 'pino';
import type { Clock, UpstreamName } from '../../base/index.ts';
import type { UpstreamPort } from '../call/index.ts';
import type { OwnCalls } from '../own-calls.ts';
import type { Era } from '../upstream/index.ts';

/** Which upstreams need a bridge. Only what an upstream has said counts. */
export type Eras = {
  /**
   * The revision of the other era, where the upstream has refused this one and speaks that. Undefined where it
   * speaks this one, and where nobody knows: then messages pass as they are.
   */
  bridgeTo(port: UpstreamPort, era: Era): Promise<string | undefined> | undefined;
};

export type ErasDeps = { readonly ownCalls: OwnCalls; readonly now: Clock; readonly log: Logger };

const RETRY_MILLIS = 10_000;
/** A server that refuses an era today may have learnt it tomorrow. */
const DOUBT_MILLIS = 900_000;

export function createEras({ ownCalls, now, log }: ErasDeps): Eras {
  const asking = new Map<UpstreamName, Promise<void>>();
  const askedAt = new Map<UpstreamName, number>();

  async function ask({ upstream, credential }: UpstreamPort, era: Era): Promise<void> {
    try {
      const { name } = upstream;
      if (typeof upstream.spoken.legacy !== 'string') {
        await ownCalls.during(name, credential, (authorize) => upstream.describe(authorize));
      }
      if (era === 'modern' && typeof upstream.spoken.legacy === 'string') {
        await ownCalls.during(name, credential, (authorize) => upstream.discover(authorize));
      }
    } catch (error) {
      log.warn(
        { upstream: upstream.name, err: error },
        'upstream does not say which revisions of MCP it speaks',
      );
    }
  }

  /** One question at a time, and not again soon. */
  function askOnce(port: UpstreamPort, era: Era, pauseMillis: number): Promise<void> | undefined {
    const { name } = port.upstream;
    const under = asking.get(name);
    if (under !== undefined) return under;
    const last = askedAt.get(name);
    if (last !== undefined && now() - last < pauseMillis) return undefined;
    askedAt.set(name, now());
    const answer = ask(port, era).finally(() => asking.delete(name));
    asking.set(name, answer);
    return answer;
  }

  return {
    bridgeTo(port, era) {
      const known = port.upstream.spoken[era];
      if (typeof known === 'string') return undefined;
      if (known === false) {
        if (askedAt.has(port.upstream.name)) void askOnce(port, era, DOUBT_MILLIS);
        else askedAt.set(port.upstream.name, now());
        return otherOf(port, era);
      }
      const asked = askOnce(port, era, RETRY_MILLIS);
      return asked?.then(() => (port.upstream.spoken[era] === false ? otherOf(port, era) : undefined));
    },
  };
}

function otherOf({ upstream: { spoken } }: UpstreamPort, era: Era): Promise<string> | undefined {
  const other = spoken[era === 'legacy' ? 'modern' : 'legacy'];
  return typeof other === 'string' ? Promise.resolve(other) : undefined;
}
