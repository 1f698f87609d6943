import { once } from 'node:events';
import type { Worker } from 'node:worker_threads';
import { type ErrorCode, err, ok, type Result, SallyportError, startThread } from '../base/index.ts';
import type { Catalogue } from './catalogue.ts';
import { conditionsOf } from './compiled-slice.ts';
import type { PolicyRevision } from './decision.ts';
import type { PolicyModel } from './model.ts';
import type { Policy } from './policy.ts';
import type { PolicySet } from './policy-set.ts';
import type { PolicySource, Problem } from './policy-text.ts';
import { readsOfPolicy } from './reads-of-policies.ts';

/** What the thread is started with. */
export type ToParse = { readonly sources: readonly PolicySource[]; readonly catalogue: Catalogue };

/** What the thread says: one of the first three, and after `parsed` a batch of policies for each message. */
export type FromParser =
  | { readonly op: 'problems'; readonly problems: readonly Problem[] }
  | { readonly op: 'threw'; readonly code: ErrorCode | undefined; readonly message: string }
  | {
      readonly op: 'parsed';
      readonly model: PolicyModel;
      readonly revision: PolicyRevision;
      readonly source: string;
      readonly warnings: readonly string[];
    }
  | { readonly op: 'policies'; readonly policies: readonly Policy[]; readonly isLast: boolean };

/** As `parsePolicySet`; rejects where that throws. */
export type PolicyParser = (
  sources: readonly PolicySource[],
  catalogue: Catalogue,
) => Promise<Result<PolicySet, readonly Problem[]>>;

/** Cedar parses and validates some hundred policies a second, so thousands take their time. Milliseconds. */
const MAX_PARSING = 300_000;

/**
 * Parses, validates and compiles policies without holding up the present thread: what it does itself, it does a
 * few policies at a time.
 */
export const parseInThread: PolicyParser = async (sources, catalogue) => {
  const data: ToParse = { sources, catalogue };
  const worker = startThread('policy-worker', import.meta.url, data);
  const gone = new AbortController();
  worker.once('error', (error) => gone.abort(error));
  worker.once('exit', () => gone.abort('it ended'));
  const until = AbortSignal.any([gone.signal, AbortSignal.timeout(MAX_PARSING)]);
  try {
    const first = await nextMessage(worker, until);
    switch (first.op) {
      case 'problems':
        return err(first.problems);
      case 'parsed': {
        const { model, revision, source, warnings } = first;
        return ok({ policies: await receivePolicies(worker, until), model, revision, source, warnings });
      }
      case 'threw':
        throw new SallyportError(first.code ?? 'ERR_POLICY_INVALID', first.message);
      case 'policies':
        throw unexpected('it spoke out of turn');
    }
  } finally {
    await worker.terminate();
  }
};

async function receivePolicies(worker: Worker, until: AbortSignal): Promise<readonly Policy[]> {
  const policies: Policy[] = [];
  for (let isLast = false; !isLast; ) {
    worker.postMessage('more');
    const batch = await nextMessage(worker, until);
    if (batch.op !== 'policies') throw unexpected('it spoke out of turn');
    for (const policy of batch.policies) {
      conditionsOf(policy); // compiled now rather than on the first call
      readsOfPolicy(policy);
      policies.push(policy);
    }
    isLast = batch.isLast;
  }
  return policies;
}

/** Rejects when the thread ends, fails or takes too long instead. */
async function nextMessage(worker: Worker, until: AbortSignal): Promise<FromParser> {
  try {
    const [message] = await once(worker, 'message', { signal: until });
    return message as FromParser;
  } catch (error) {
    throw unexpected(String(until.aborted ? until.reason : error));
  }
}

function unexpected(what: string): SallyportError {
  return new SallyportError('ERR_POLICY_INVALID', `the thread that parses policies failed: ${what}`);
}
