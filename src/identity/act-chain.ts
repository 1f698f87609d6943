import type { JsonObject } from '../base/index.ts';
import type { Chain } from './run.ts';

/**
 * The `act` claim of a delegated run (RFC 8693 §4.1): the run itself, inside it the run that delegated to it,
 * and so on to the root. It is information for the reader; what a run may do never depends on it.
 */
export function actChain(chain: Chain): JsonObject | undefined {
  if (chain.length < 2) return undefined;
  let act: JsonObject | undefined;
  for (const run of chain.toReversed()) act = { sub: run.spiffeId, ...(act === undefined ? {} : { act }) };
  return act;
}
