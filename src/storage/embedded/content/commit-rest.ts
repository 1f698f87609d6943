import type { CallId, JsonObject } from '../../../base/index.ts';
import type {
  BridgeEntry,
  DecisionEntry,
  NewDecision,
  NewRecord,
  RoundInput,
  Spoken,
  SpokenAsk,
} from '../../../intent-log/index.ts';

/** Commits to a text so that the same text looks the same all over a run; undefined for a run that was erased. */
export type CommitInRun = (about: 'call' | 'value', text: string) => string | undefined;

type Request = NewRecord & { readonly type: 'intent' | 'refusal' };

/**
 * What a record says beside arguments and result, committed to: the call and values that an approval is asked for, and
 * what a client answered in a round. Without a key only lengths and places remain.
 */
export function commitRest<R extends Request>(record: R, commit: CommitInRun): R {
  const { decision, bridge } = record;
  return {
    ...record,
    ...(decision === undefined ? {} : { decision: committedDecision(decision, commit) }),
    ...(bridge === undefined ? {} : { bridge: committedBridge(bridge, commit) }),
  };
}

function committedDecision({ asks, ...decision }: NewDecision, commit: CommitInRun): DecisionEntry {
  if (asks === undefined) return decision;
  const callHash = commit('call', asks.callHash);
  return { ...decision, ...(callHash === undefined ? {} : { callHash }), asked: askedOf(asks, commit) };
}

function askedOf({ values }: SpokenAsk, commit: CommitInRun): JsonObject {
  return Object.fromEntries(
    values.map(({ path, kind, text, provenance, calls }) => {
      const mac = commit('value', text);
      return [path, { kind, ...(mac === undefined ? {} : { mac }), provenance, calls }];
    }),
  );
}

function committedBridge(
  { input, ...bridge }: BridgeEntry<Spoken | RoundInput>,
  commit: CommitInRun,
): BridgeEntry<RoundInput> {
  const rest: Omit<BridgeEntry<RoundInput>, 'input'> & { readonly call: CallId } = bridge;
  if (input === undefined) return rest;
  if (!('text' in input)) return { ...rest, input };
  const mac = commit('value', input.text);
  const bytes = Buffer.byteLength(input.text);
  return { ...rest, input: { ...(mac === undefined ? {} : { mac }), bytes } };
}
