import { ok, type Result, toEpochSeconds } from '../base/index.ts';
import { findLiveChain } from './ancestry.ts';
import type { AuthorityDeps, TokenResponse } from './authority.ts';
import { endRun } from './end-run.ts';
import { declaresSame, intentDetails, type WantedIntent } from './intent-details.ts';
import type { Chain, Run } from './run.ts';
import { runReference } from './run-reference.ts';
import type { Ending, OpenRefusal, RunState } from './run-store.ts';
import { issueRunToken, SCOPE, type TokenTarget } from './run-token.ts';
import { AGENT_GONE, refuseToken, type TokenRefusal } from './token-refusal.ts';

/** What the run store knows of a key. */
export type KnownKey = { readonly run: Run; readonly state: RunState } | 'forgotten';

/**
 * Makes a new run live and issues its first token. The journal has it before it can be used; a run that could
 * then not be opened is closed in the journal.
 */
export async function openRun(
  chain: Chain,
  target: TokenTarget,
  deps: AuthorityDeps,
  task?: string,
): Promise<Result<TokenResponse, TokenRefusal>> {
  const [run] = chain;
  const closeAgain = async (reason: string): Promise<void> => {
    const ending: Ending = { state: 'ended', by: 'gateway', reason };
    await deps.journal.closed([run], ending);
  };
  await deps.journal.opened(run, task);
  const opened = await deps.runs.open(run).catch(async (cause: unknown) => {
    await closeAgain('not opened: the run store failed');
    throw cause;
  });
  // A run that opened while its agent was being disabled was not among those that ended with it.
  if (opened.ok && deps.agents.find(run.agent) === undefined) {
    await endRun(run.id, { state: 'revoked', by: 'gateway', reason: 'the agent is disabled' }, deps);
    return refuseToken('unauthorized_client', AGENT_GONE);
  }
  if (opened.ok) return ok(tokenFor(chain, target, deps));
  await closeAgain(`not opened: ${opened.error}`);
  return refuseToken('invalid_grant', openRefusalMessage(opened.error));
}

/** The next token of a run that lives: same key, same run. What is declared again must be what it was issued with. */
export async function renewRun(
  known: KnownKey,
  wanted: readonly (WantedIntent | undefined)[],
  target: TokenTarget,
  deps: AuthorityDeps,
): Promise<Result<TokenResponse, TokenRefusal>> {
  const chain = known === 'forgotten' ? undefined : await findLiveChain(known.run, deps);
  if (chain === undefined) {
    return refuseToken(
      'invalid_grant',
      'this key stands for a run that is over, or whose parent is; make a new key for a new run',
    );
  }
  const latestEnd = chain[1]?.envelope.expiresAt;
  if (wanted.some((intent) => intent !== undefined && !declaresSame(chain[0], intent, latestEnd))) {
    return refuseToken(
      'invalid_authorization_details',
      'this key stands for a run with another intent; repeat that one, leave it out, or make a new key',
    );
  }
  return ok(tokenFor(chain, target, deps));
}

function tokenFor(chain: Chain, target: TokenTarget, deps: AuthorityDeps): TokenResponse {
  const [run] = chain;
  const issuer = deps.urls.issuer;
  const { token, expiresAt } = issueRunToken(chain, target, { ...deps, issuer });
  return {
    access_token: token,
    token_type: target.binding === 'jkt' ? 'DPoP' : 'Bearer', // RFC 8705 §3: bound to the connection
    expires_in: expiresAt - toEpochSeconds(deps.now()),
    scope: SCOPE,
    authorization_details: [intentDetails(run)],
    sallyport: runReference(run),
  };
}

function openRefusalMessage(refusal: OpenRefusal): string {
  switch (refusal) {
    case 'key_in_use':
      return 'this key stands for another run; make a new key for a new run';
    case 'stopped':
      return 'an operator has stopped this agent; ask its owner';
    case 'parent_over':
      return 'the run that delegated is over';
    case 'calls_exhausted':
      return 'the run that delegated has fewer calls left than max_calls; ask for a grant with fewer';
  }
}
