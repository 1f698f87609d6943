import { isJsonObject } from '../../base/index.ts';
import type { Explanation, Permit } from '../../cedar/index.ts';
import type { IntentRecord, Receipt, Spoken, Subject } from '../../intent-log/index.ts';
import type { CallDeps } from './deps.ts';
import { toActor, toDecisionEntry, toProvenanceEntry } from './entries.ts';
import { labelsOf } from './labels.ts';
import { observeArguments } from './observe.ts';
import type { Call } from './resolve-call.ts';
import { isCutOff, type UnderWay } from './under-way.ts';

/**
 * STEP 6: resolves once the intent is on disk. Nothing leaves the gateway before that. The labels that the answer
 * will carry are on the delegation tree from here on: what an agent reads in progress messages, or in an answer
 * whose end it never waits for, has tainted it before its next call.
 *
 * Undefined when the run ended, or was stopped, while its request was decided: nothing is permitted after the record of a run's
 * end, and nothing waits between this look and the append.
 */
export async function recordIntent(
  call: Call,
  decision: Permit,
  underWay: UnderWay & { readonly provenance: Explanation | undefined },
  deps: CallDeps,
): Promise<Receipt | undefined> {
  const traceparent = traceparentOf(call);
  const labels = labelsOf(call, deps);
  if (labels.length > 0) await deps.history.taint(call.run, labels);
  await observeArguments(call, deps);
  if (isCutOff(underWay, call, deps)) return undefined;
  const { provenance } = underWay;
  const carried = underWay.entrance.facts.labels;
  return deps.intentLog.append({
    type: 'intent',
    call: call.inbound.call,
    run: call.run.id,
    actor: toActor(call.caller),
    subject: toSubject(call, deps),
    decision: toDecisionEntry(decision),
    proof: call.caller.proofId,
    ...destinationOf(call),
    ...(carried.length === 0 ? {} : { carried }),
    ...(labels.length === 0 ? {} : { labels }),
    ...(call.origin === undefined ? {} : { continues: call.origin.call }),
    ...(provenance === undefined ? {} : { provenance: toProvenanceEntry(provenance) }),
    ...(call.rpcId === undefined ? {} : { rpcId: call.rpcId }),
    ...(traceparent === undefined ? {} : { traceparent }),
    ...(call.bridge === undefined ? {} : { bridge: call.bridge }),
  });
}

/** Where it goes, and in which revision of MCP as far as its headers say. */
function destinationOf({ port, mcpHeaders }: Call): Pick<IntentRecord, 'destination'> {
  if (port.destination === undefined) return {};
  const protocol = mcpHeaders['mcp-protocol-version'];
  return { destination: protocol === undefined ? port.destination : { ...port.destination, protocol } };
}

/** What a call is about, as the log says it. */
export function toSubject(call: Call, deps: Pick<CallDeps, 'catalogue'>): Subject<Spoken> {
  const { target } = call;
  const args = { text: call.args.text };
  if (target.kind === 'method') return { upstream: target.upstream, method: target.method, args };
  const pin = deps.catalogue.tools(target.upstream).get(target.tool)?.digest;
  return {
    upstream: target.upstream,
    method: 'tools/call',
    tool: target.tool,
    ...(pin === undefined ? {} : { pin }),
    args,
  };
}

const TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;

/** W3C trace context from `_meta` (SEP-414). The client chooses it: a link for tracing, nothing more. */
function traceparentOf({ admitted }: Call): string | undefined {
  if (admitted.leg !== 'POST' || admitted.kind === 'response') return undefined;
  const meta = admitted.params?.['_meta'];
  const value = isJsonObject(meta) ? meta['traceparent'] : undefined;
  return typeof value === 'string' && TRACEPARENT.test(value) ? value : undefined;
}
