import { toEpochSeconds } from '../base/index.ts';
import { actChain } from './act-chain.ts';
import type { MintDeps } from './call-token.ts';
import type { Caller } from './run.ts';
import { agentOfRun } from './spiffe-id.ts';

const LIFE_SECONDS = 60;

/**
 * Who a run is, told to one other authority: a JWT-SVID (SPIFFE JWT-SVID §3) of the run for one audience and a
 * minute. Good for being exchanged, never for calling: its `typ` is none that this gateway accepts anywhere.
 */
export function mintRunAssertion(
  caller: Caller,
  options: { readonly audience: string; readonly id: string },
  { keys, issuer, now }: MintDeps,
): string {
  const [run] = caller.chain;
  const iat = toEpochSeconds(now());
  const act = actChain(caller.chain);
  return keys.sign('JWT', {
    iss: issuer,
    sub: run.spiffeId,
    aud: options.audience,
    iat,
    exp: iat + LIFE_SECONDS,
    jti: options.id,
    client_id: agentOfRun(run.spiffeId),
    txn: run.root,
    ...(act === undefined ? {} : { act }),
  });
}

/** The gateway itself as a client of another authorization server (private_key_jwt, RFC 7523 §2.2): for a minute. */
export function mintClientAssertion(
  client: { readonly clientId: string; readonly audience: string; readonly id: string },
  { keys, now }: Pick<MintDeps, 'keys' | 'now'>,
): string {
  const iat = toEpochSeconds(now());
  return keys.sign('JWT', {
    iss: client.clientId,
    sub: client.clientId,
    aud: client.audience,
    iat,
    exp: iat + LIFE_SECONDS,
    jti: client.id,
  });
}
