import { decodeJwt, decodeProtectedHeader } from 'jose';
import { describe, expect, it } from 'vitest';
import { createIdSource, digestJson } from '../../src/base/index.ts';
import { type Caller, type CallTokenRequest, mintCallToken } from '../../src/identity/index.ts';
import { aChildOf, aRun } from '../support/a-run.ts';
import { PUBLIC_URL, testSigningKeys } from '../support/authority.ts';
import { manualClock } from '../support/manual-clock.ts';

const clock = manualClock();
const keys = testSigningKeys();
const root = aRun();
const child = aChildOf(root);
const caller = (chain: Caller['chain']): Caller => ({ chain, pop: 'dpop', tokenId: 't', proofId: 'p' });
const callId = createIdSource(clock.now).callId();

function mint(changes: Partial<CallTokenRequest> = {}) {
  const request: CallTokenRequest = {
    caller: caller([root]),
    callId,
    audience: 'https://desk.example.org/mcp',
    method: 'tools/call',
    tool: 'close_ticket',
    argsDigest: digestJson({ id: 7 }),
    decision: { policies: ['p1', 'p2'], revision: 'rev-1' },
    intentLeaf: 'leaf-1',
    ...changes,
  };
  return mintCallToken(request, { keys, issuer: PUBLIC_URL, now: clock.now });
}

describe('a call token', () => {
  it('is for one upstream, one call and thirty seconds', () => {
    const minted = mint();
    expect(minted).toMatchObject({ id: callId, expiresAt: clock.seconds() + 30 });
    expect(decodeProtectedHeader(minted.token)).toEqual({ alg: 'ES256', typ: 'at+jwt', kid: keys.activeKid });
    expect(decodeJwt(minted.token)).toEqual({
      iss: PUBLIC_URL,
      sub: root.spiffeId,
      client_id: 'spiffe://agents.example.org/agent/ops-desk',
      aud: 'https://desk.example.org/mcp',
      iat: clock.seconds(),
      exp: clock.seconds() + 30,
      jti: callId,
      txn: root.id,
      authorization_details: [
        {
          type: 'mcp_tool_call',
          locations: ['https://desk.example.org/mcp'],
          method: 'tools/call',
          tool: 'close_ticket',
          args_digest: { alg: 'sha-256', canon: 'jcs', value: digestJson({ id: 7 }) },
          policy: ['p1', 'p2'],
          revision: 'rev-1',
          decision: callId,
          intent: 'leaf-1',
        },
      ],
    });
  });

  it('names the whole chain of a delegated run', () => {
    const claims = decodeJwt(mint({ caller: caller([child, root]) }).token);
    expect(claims).toMatchObject({
      sub: child.spiffeId,
      txn: root.id,
      act: { sub: child.spiffeId, act: { sub: root.spiffeId } },
    });
  });

  it('carries nothing of the run token: no key, no scope, no intent', () => {
    const claims = decodeJwt(mint().token);
    for (const claim of ['cnf', 'scope', 'sallyport']) expect(claims).not.toHaveProperty(claim);
  });
});
