import type { Permit } from '../../cedar/index.ts';
import { mintCallToken } from '../../identity/index.ts';
import type { Receipt } from '../../intent-log/index.ts';
import type { CallDeps } from './deps.ts';
import type { Call } from './resolve-call.ts';

/** What an upstream gets for one call. `authorization` never reaches the agent or a log. */
export type Credential = {
  readonly kind: 'call-token';
  readonly id: string;
  /** Seconds since the epoch. */
  readonly expiresAt: number;
  readonly authorization: string;
};

/** STEP 7: a credential for exactly this call, bound to its durable intent. Undefined: the upstream takes none. */
export function mintCredential(
  call: Call,
  decision: Permit,
  intent: Receipt,
  deps: CallDeps,
): Credential | undefined {
  const { credential } = call.port;
  if (credential.kind === 'none') return undefined;
  const { target, args } = call;
  const minted = mintCallToken(
    {
      caller: call.caller,
      callId: call.inbound.call,
      audience: credential.audience,
      method: target.kind === 'tool' ? 'tools/call' : target.method,
      ...(target.kind === 'tool' ? { tool: target.tool } : {}),
      argsDigest: args.digest,
      decision: { policies: decision.policies, revision: decision.revision },
      intentLeaf: intent.leaf,
    },
    deps.minting,
  );
  return {
    kind: 'call-token',
    id: minted.id,
    expiresAt: minted.expiresAt,
    authorization: `Bearer ${minted.token}`,
  };
}
