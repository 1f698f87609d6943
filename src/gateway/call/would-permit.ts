import type { CallDeps, UpstreamPort } from './deps.ts';
import type { KnownRequest } from './handle-call.ts';
import { explainArguments } from './observe.ts';
import { resolveTarget } from './resolve-target.ts';

type Deps = Pick<CallDeps, 'pdp' | 'history' | 'catalogue' | 'provenances' | 'now' | 'log'>;

/**
 * Would policy let a request pass? For what is opened on the way of a request and should not be for one that is
 * refused: the request itself is decided where it is carried out, on the same question.
 */
export async function wouldPermit(
  { caller, admitted, inbound }: KnownRequest,
  { upstream, credential }: UpstreamPort,
  deps: Deps,
): Promise<boolean> {
  const resolved = resolveTarget(upstream.name, admitted);
  if (!resolved.ok) return false;
  const target = resolved.value;
  if (target.kind === 'tool' && deps.catalogue.review(upstream.name, target.tool) === 'drifted') return false;
  const facts = await deps.history.facts(caller.chain[0]);
  const provenance = await explainArguments({ caller, inbound, target }, inbound.agentGone, deps);
  const decision = deps.pdp.decide({
    caller,
    target,
    facts,
    credential: credential.kind,
    now: deps.now(),
    ...(provenance === undefined ? {} : { provenance }),
  });
  return decision.effect === 'permit';
}
