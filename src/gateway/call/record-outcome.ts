import type { UpstreamCredential } from '../../identity/index.ts';
import type { Receipt } from '../../intent-log/index.ts';
import type { Ending } from './answer-status.ts';
import type { CallDeps } from './deps.ts';
import { toEntry } from './entries.ts';
import type { Call } from './resolve-call.ts';
import type { UnderWay } from './under-way.ts';

/** A call whose intent is on disk and whose outcome is not. */
export type OpenCall = {
  readonly call: Call;
  readonly intent: Receipt;
  readonly credential?: UpstreamCredential | undefined;
  readonly underWay: UnderWay;
};

/** Resolves when the outcome is on disk. Of several endings the first is the outcome. */
export type Settle = (ending: Ending) => Promise<Receipt>;

/** STEP 9: the one outcome of a call. */
export function openOutcome(open: OpenCall, deps: CallDeps): Settle {
  let settled: Promise<Receipt> | undefined;
  return (ending) => {
    settled ??= recordOutcome(open, ending, deps);
    return settled;
  };
}

async function recordOutcome(open: OpenCall, ending: Ending, deps: CallDeps): Promise<Receipt> {
  const { call, intent, credential, underWay } = open;
  const counted = underWay.count({ kind: 'forwarded', isToolCall: call.target.kind === 'tool' });
  const recorded = deps.intentLog.append({
    type: 'outcome',
    call: call.inbound.call,
    run: call.run.id,
    intent: intent.leaf,
    ...ending,
    ...(credential === undefined ? {} : { credential: toEntry(credential) }),
    micros: call.inbound.elapsed(),
  });
  const [outcome] = await Promise.all([recorded, counted]);
  return outcome;
}
