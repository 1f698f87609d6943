import {
  type Clock,
  err,
  ok,
  type Result,
  type RunId,
  toEpochSeconds,
  type UpstreamName,
} from '../base/index.ts';
import type {
  Caller,
  CredentialEntry,
  CredentialFailure,
  CredentialJournal,
  CredentialKind,
  CredentialSource,
  UpstreamCredential,
} from '../identity/index.ts';

/** A credential as its authority gave it, and how to take it back. */
export type Issued = UpstreamCredential & {
  /** For how long it may be given to further calls of the same run. Seconds since the epoch. */
  readonly reuseUntil: number;
  /** Rejects when it is not known to be gone. Absent where nothing can be taken back. */
  readonly revoke?: () => Promise<void>;
  /** Taken back even when its time is up: something of it stays until then. */
  readonly lingers?: true;
};

/** An authority that gives a run a credential which is good for more than one call. */
export type RunCredentialIssuer = {
  readonly kind: CredentialKind;
  issue(caller: Caller): Promise<Result<Issued, CredentialFailure>>;
};

/** What one run holds at one upstream. */
type Holding = {
  readonly all: Issued[];
  pending?: Promise<Result<Issued, CredentialFailure>> | undefined;
};

export type RunCredentialsDeps = {
  readonly upstream: UpstreamName;
  readonly journal: CredentialJournal;
  readonly now: Clock;
  readonly pause: (milliseconds: number) => Promise<void>;
};

const REMEMBERED_ENDS = 10_000;
const REVOCATION_PAUSES = [0, 200, 1000];
const RUN_OVER: CredentialFailure = { detail: 'the run is over' };

/**
 * Credentials that outlive a call: one for a run at a time, never shared between runs, written down before it is
 * used, taken back when the run ends. What is issued while the run ends is taken back at once.
 */
export function createRunCredentials(
  issuer: RunCredentialIssuer,
  deps: RunCredentialsDeps,
): CredentialSource {
  const holdings = new Map<RunId, Holding>();
  const over = new Set<RunId>();

  async function issue(
    run: RunId,
    holding: Holding,
    caller: Caller,
  ): Promise<Result<Issued, CredentialFailure>> {
    const issued = await attempt(() => issuer.issue(caller));
    if (!issued.ok) return issued;
    const { value } = issued;
    if (value.expiresAt <= deps.now() / 1000) return err({ detail: 'the credential has expired already' });
    drop(holding, (held) => !isInForce(held, deps));
    holding.all.push(value);
    if (over.has(run)) {
      await takeBack(run, holding, deps);
      return err(RUN_OVER); // nothing is issued after the end of a run, in the log as in fact
    }
    try {
      await deps.journal.issued(run, deps.upstream, entryOf(value));
    } catch (error) {
      await takeBack(run, holding, deps).catch(() => undefined); // the log has failed; its error is the one that counts
      throw error;
    }
    if (!over.has(run)) return issued;
    await takeBack(run, holding, deps);
    return err(RUN_OVER);
  }

  return {
    kind: issuer.kind,
    obtain({ caller }) {
      const run = caller.chain[0].id;
      if (over.has(run)) return err(RUN_OVER);
      const holding = holdings.get(run) ?? { all: [] };
      holdings.set(run, holding);
      const current = holding.all.at(-1);
      if (current !== undefined && current.reuseUntil > deps.now() / 1000) return ok(current);
      holding.pending ??= issue(run, holding, caller)
        .catch((): Result<Issued, CredentialFailure> => err({ detail: 'it could not be written down' }))
        .finally(() => {
          holding.pending = undefined;
        });
      return holding.pending;
    },
    async endRun(run) {
      over.add(run);
      if (over.size > REMEMBERED_ENDS) over.delete(over.values().next().value ?? run);
      const holding = holdings.get(run);
      holdings.delete(run);
      if (holding === undefined) return;
      await holding.pending;
      await takeBack(run, holding, deps);
    },
  };
}

/** An adapter that throws has a defect or a network error that it did not foresee: no credential either way. */
async function attempt(
  issue: () => Promise<Result<Issued, CredentialFailure>>,
): Promise<Result<Issued, CredentialFailure>> {
  try {
    return await issue();
  } catch (error) {
    return err({ detail: `the authority failed (${error instanceof Error ? error.name : 'unknown'})` });
  }
}

/** Revokes all that is held and in force. Tries each a few times; rejects when one may still be good. */
async function takeBack(run: RunId, holding: Holding, deps: RunCredentialsDeps): Promise<void> {
  const held = holding.all.splice(0).filter((issued) => isInForce(issued, deps));
  const failures = await Promise.all(held.map((issued) => revokeOne(run, issued, deps)));
  const failed = failures.filter((failure) => failure !== undefined);
  if (failed.length > 0) throw new Error(`credentials not revoked: ${failed.join(', ')}`);
}

function isInForce({ expiresAt, lingers }: Issued, { now }: RunCredentialsDeps): boolean {
  return lingers === true || expiresAt > now() / 1000;
}

function drop({ all }: Holding, isOver: (issued: Issued) => boolean): void {
  all.splice(0, all.length, ...all.filter((issued) => !isOver(issued)));
}

async function revokeOne(
  run: RunId,
  issued: Issued,
  { journal, upstream, pause }: RunCredentialsDeps,
): Promise<string | undefined> {
  const { revoke } = issued;
  let failure: string | undefined = 'this kind cannot be revoked';
  if (revoke !== undefined) {
    for (const milliseconds of REVOCATION_PAUSES) {
      await pause(milliseconds);
      failure = await revoke().then(
        () => undefined,
        (error: unknown) => (error instanceof Error ? error.message : 'unknown'),
      );
      if (failure === undefined) break;
    }
  }
  await journal.revoked(run, upstream, entryOf(issued), failure);
  return revoke === undefined ? undefined : failure && `${issued.id}: ${failure}`;
}

const entryOf = ({ id, kind, expiresAt }: Issued): CredentialEntry => ({
  id,
  kind,
  expiresAt: toWhole(expiresAt),
});

const toWhole = (seconds: number): number => toEpochSeconds(seconds * 1000);
