import type { Answer } from '../upstream/index.ts';
import type { CallDeps } from './deps.ts';
import type { Call } from './resolve-call.ts';

/** The agent gets a session id of ours; the upstream's own stays here, bound to the run. */
export function followSession(
  call: Call,
  answer: Answer,
  deps: Pick<CallDeps, 'sessions'>,
): string | undefined {
  const { target, admitted, run } = call;
  if (admitted.leg === 'DELETE' && answer.status < 300) forgetSession(call, deps);
  if (answer.session === undefined) return undefined;
  if (answer.session === call.session) return admitted.session;
  return deps.sessions.bind(run.id, target.upstream, answer.session);
}

/** The session is over, or the upstream no longer knows it. */
export function forgetSession({ run, admitted }: Call, deps: Pick<CallDeps, 'sessions'>): void {
  if (admitted.session !== undefined) deps.sessions.release(run.id, admitted.session);
}
