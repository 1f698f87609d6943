import { err, ok, type Result } from '../../base/index.ts';
import type { Permit } from '../../cedar/index.ts';
import type { UpstreamCredential } from '../../identity/index.ts';
import type { Receipt } from '../../intent-log/index.ts';
import type { UpstreamFailure } from '../upstream/index.ts';
import type { Call } from './resolve-call.ts';

/**
 * STEP 7: a credential for exactly this call, bound to its durable intent, or for its run where the upstream knows
 * nothing finer. Undefined: the upstream takes none. Without the credential that it should have no call is sent.
 */
export async function mintCredential(
  call: Call,
  decision: Permit,
  intent: Receipt,
): Promise<Result<UpstreamCredential | undefined, UpstreamFailure>> {
  const { target, args } = call;
  const obtained = await call.port.credential.obtain({
    caller: call.caller,
    callId: call.inbound.call,
    method: target.kind === 'tool' ? 'tools/call' : target.method,
    ...(target.kind === 'tool' ? { tool: target.tool } : {}),
    argsDigest: args.digest,
    decision: { policies: decision.policies, revision: decision.revision },
    intentLeaf: intent.leaf,
  });
  return obtained.ok ? ok(obtained.value) : err({ reason: 'no_credential', detail: obtained.error.detail });
}
