import { err, ok, parseStrictJson, type Result } from '../base/index.ts';
import { followKeys, readRotation, type VerifierKey } from '../intent-log/index.ts';
import type { WitnessState } from './witness-state.ts';

/** The logs a witness was told of by whoever runs it, and what it has learnt since. */
export type WatchedLogs = { readonly logs: readonly VerifierKey[]; readonly state: WitnessState };

/** Why a witness does not take a new key for a log. */
export type KeyRefusal = 'malformed' | 'unknown_key';

/** The keys that logs are signed with now, as far as this witness was told. A key that was replaced is not among them. */
export function keysInForce({ logs, state }: WatchedLogs): readonly VerifierKey[] {
  return followKeys(logs, state.keyChanges()).current;
}

/**
 * Takes in changes of keys, each signed by the key in force and the one that follows: a JSON list of statements, oldest
 * first, those that are known already among them. From then on the old key is good for nothing here.
 */
export function followKeyChanges(body: string, deps: WatchedLogs): Result<undefined, KeyRefusal> {
  const parsed = parseStrictJson(body);
  if (!parsed.ok || !Array.isArray(parsed.value)) return err('malformed');
  for (const note of parsed.value as readonly unknown[]) {
    const change = typeof note === 'string' ? readRotation(note) : undefined;
    if (change === undefined || typeof note !== 'string') return err('malformed');
    if (deps.state.keyChanges().some(({ to }) => to.text === change.to.text)) continue;
    if (deps.logs.some(({ text }) => text === change.to.text)) continue; // named by whoever runs this witness
    if (!keysInForce(deps).some(({ text }) => text === change.from.text)) return err('unknown_key');
    deps.state.keepKeyChange(note);
  }
  return ok(undefined);
}
