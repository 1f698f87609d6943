import type { TokenRefusal } from '../../identity/index.ts';

/** A refused request as the log keeps it. */
export type RefusedTokenRequest = {
  readonly endpoint: 'token' | 'revoke';
  readonly error: string;
  readonly description: string;
  readonly source: string;
  readonly grant?: string;
  readonly suppressed?: number;
};

/** Writes a refusal down; resolves when it is durable. */
export type RecordRefusal = (refused: RefusedTokenRequest) => Promise<void>;

const MAX_SOURCES = 10_000;
const QUIET_MILLISECONDS = 60_000;

/**
 * Writes every refusal, but of those for their number one a minute and source: a flood must not become a flood of
 * records. How many were left out stands in the next record of the source.
 */
export function createRefusalRecorder(
  record: RecordRefusal,
  now: () => number,
): (refusal: TokenRefusal, about: Omit<RefusedTokenRequest, 'error' | 'description'>) => Promise<void> {
  const floods = new Map<string, { at: number; suppressed: number }>();
  return async ({ error, description }, about) => {
    const flood = floods.get(about.source);
    if (error !== 'slow_down') return record({ ...about, error, description });
    if (flood !== undefined && now() - flood.at < QUIET_MILLISECONDS) {
      flood.suppressed += 1;
      return undefined;
    }
    floods.delete(about.source);
    floods.set(about.source, { at: now(), suppressed: 0 });
    if (floods.size > MAX_SOURCES) floods.delete(floods.keys().next().value ?? '');
    const suppressed = flood?.suppressed ?? 0;
    return record({ ...about, error, description, ...(suppressed > 0 ? { suppressed } : {}) });
  };
}
