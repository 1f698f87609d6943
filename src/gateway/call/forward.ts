import { err, ok, type Result } from '../../base/index.ts';
import type { UpstreamCredential } from '../../identity/index.ts';
import { type Answer, UpstreamError, type UpstreamFailure } from '../upstream/index.ts';
import type { CallDeps } from './deps.ts';
import type { Call } from './resolve-call.ts';
import { isCutOff, type UnderWay } from './under-way.ts';

/**
 * STEP 8: sends the message that was decided on, with our credential and nothing of the agent's. A failure of
 * the upstream is a value; whether the upstream acted on the message before it failed is not known.
 */
export async function forward(
  call: Call,
  credential: UpstreamCredential | undefined,
  underWay: UnderWay,
  deps: CallDeps,
): Promise<Result<Answer, UpstreamFailure>> {
  const { admitted, session, port, run, mcpHeaders } = call;
  const { signal } = underWay;
  if (signal.aborted || isCutOff(underWay, call, deps)) {
    return err({ reason: 'cancelled', detail: 'the run ended before the call was sent' });
  }
  try {
    const answer = await port.upstream.send({
      method: admitted.leg,
      mcpHeaders,
      run: run.id,
      signal,
      ...(admitted.leg === 'POST' ? { message: admitted.message } : {}),
      ...(session === undefined ? {} : { session }),
      ...secretsOf(credential),
    });
    return ok(answer);
  } catch (error) {
    return err(toFailure(error, deps));
  }
}

/** The secret parts of a credential, for the relay alone. */
export function secretsOf(
  credential: UpstreamCredential | undefined,
): Pick<UpstreamCredential, 'authorization' | 'environment'> {
  const { authorization, environment } = credential ?? {};
  return {
    ...(authorization === undefined ? {} : { authorization }),
    ...(environment === undefined ? {} : { environment }),
  };
}

/** An upstream error is expected; anything else is a defect of ours, and still no reason to lose the outcome. */
export function toFailure(error: unknown, deps: Pick<CallDeps, 'log'>): UpstreamFailure {
  if (error instanceof UpstreamError) return error.failure;
  deps.log.error({ err: error }, 'relay failed unexpectedly');
  return { reason: 'broken_off', detail: 'the relay failed; see the gateway log' };
}
