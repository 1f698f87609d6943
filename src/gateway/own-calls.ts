import {
  askedFor,
  type Clock,
  type IdSource,
  parseAgentName,
  toEpochSeconds,
  type UpstreamName,
} from '../base/index.ts';
import {
  type Caller,
  type CredentialSource,
  type KeyThumbprint,
  type Run,
  type RunJournal,
  runSpiffeId,
  type TrustDomain,
} from '../identity/index.ts';
import type { IntentLog } from '../intent-log/index.ts';
import { secretsOf, toActor, toAskedFor, toEntry } from './call/index.ts';
import { type Authorize, type JsonRpcMessage, UpstreamError } from './upstream/index.ts';

/** The agent name under which the gateway acts for itself; no configured agent may have it. */
export const OWN_AGENT = 'sallyport';

/**
 * What the gateway asks upstreams for itself, outside any agent's run: it gets a run of its own, and every
 * message an intent and an outcome, so that upstreams see nothing that is not in the log.
 */
export type OwnCalls = {
  during<T>(
    upstream: UpstreamName,
    credential: CredentialSource,
    act: (authorize: Authorize) => Promise<T>,
  ): Promise<T>;
};

export type OwnCallsDeps = {
  readonly intentLog: IntentLog;
  readonly journal: RunJournal;
  readonly ids: IdSource;
  readonly trustDomain: TrustDomain;
  readonly now: Clock;
};

const RUN_SECONDS = 300;
const DECISION = { effect: 'permit', policies: [], revision: 'own' } as const;

export function createOwnCalls(deps: OwnCallsDeps): OwnCalls {
  return {
    async during(upstream, credential, act) {
      const run = createOwnRun(deps);
      const caller: Caller = { chain: [run], pop: 'dpop', tokenId: '', proofId: '' };
      const calls: { readonly close: OwnCall['close']; failure?: string }[] = [];
      let opened: Promise<void> | undefined;
      let hasFailed = true;
      try {
        const result = await act(async (message) => {
          opened ??= deps.journal.opened(run);
          await opened;
          const { minted, close } = await recordOwnCall(message, upstream, credential, caller, deps);
          const call: (typeof calls)[number] = { close };
          calls.push(call);
          const failed = (detail: string): void => {
            call.failure = detail;
          };
          if (minted.ok) return { ...secretsOf(minted.value), failed };
          failed(`no_credential: ${minted.error.detail}`);
          throw new UpstreamError({ reason: 'no_credential', detail: minted.error.detail });
        });
        hasFailed = false;
        return result;
      } finally {
        const last = calls.at(-1); // who does not tell which one failed: the others were answered
        if (hasFailed && last !== undefined && !calls.some(({ failure }) => failure !== undefined)) {
          last.failure = 'the answer was not what it should be';
        }
        await Promise.all(calls.map(({ close, failure }) => close(failure)));
        if (opened !== undefined) {
          await deps.journal.closed([run], { state: 'ended', by: 'gateway', reason: 'upstream was asked' });
        }
      }
    },
  };
}

type OwnCall = {
  readonly minted: Awaited<ReturnType<CredentialSource['obtain']>>;
  /** With what went wrong, if something did. */
  readonly close: (failure: string | undefined) => Promise<unknown>;
};

async function recordOwnCall(
  message: JsonRpcMessage | undefined,
  upstream: UpstreamName,
  credential: CredentialSource,
  caller: Caller,
  deps: OwnCallsDeps,
): Promise<OwnCall> {
  const [run] = caller.chain;
  const call = deps.ids.callId();
  const startedAt = deps.now();
  const method = typeof message?.['method'] === 'string' ? message['method'] : 'DELETE';
  const args = toAskedFor(askedFor(message));
  const { leaf } = await deps.intentLog.append({
    type: 'intent',
    call,
    run: run.id,
    actor: toActor(caller),
    subject: { upstream, method, args: { text: args.text } },
    decision: DECISION,
    proof: '',
  });
  const minted = await credential.obtain({
    caller,
    callId: call,
    method,
    argsDigest: args.digest,
    decision: DECISION,
    intentLeaf: leaf,
  });
  const close = (failure: string | undefined): Promise<unknown> =>
    deps.intentLog.append({
      type: 'outcome',
      call,
      run: run.id,
      intent: leaf,
      status: failure === undefined ? 'ok' : 'upstream_failed',
      ...(failure === undefined ? {} : { detail: failure }),
      ...(minted.ok && minted.value !== undefined ? { credential: toEntry(minted.value) } : {}),
      micros: (deps.now() - startedAt) * 1000,
    });
  return { minted, close };
}

function createOwnRun({ ids, now, trustDomain }: OwnCallsDeps): Run {
  const id = ids.runId();
  const issuedAt = toEpochSeconds(now());
  const agent = parseAgentName(OWN_AGENT);
  if (agent === undefined) throw new TypeError('the name of the gateway itself must be an agent name');
  return {
    id,
    spiffeId: runSpiffeId(trustDomain, agent, id),
    agent,
    owner: { kind: 'team', name: 'operator', contact: 'whoever runs this gateway' },
    environment: 'gateway',
    root: id,
    depth: 0,
    key: '' as KeyThumbprint, // it authenticates to nobody
    intent: { purpose: 'describe-upstream' },
    envelope: { tools: [], maxCalls: 0, maxDepth: 0, expiresAt: issuedAt + RUN_SECONDS },
    evidence: { attestor: 'gateway', digest: '', claims: {} },
    issuedAt,
  };
}
