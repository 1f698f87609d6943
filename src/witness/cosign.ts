import { type Clock, err, ok, type Result, toEpochSeconds } from '../base/index.ts';
import {
  type Cosigner,
  judgeCheckpoint,
  parseAddCheckpoint,
  parseNote,
  type VerifierKey,
  type WitnessRefusal,
} from '../intent-log/index.ts';
import { keysInForce } from './follow-key.ts';
import type { WitnessState } from './witness-state.ts';

export type CosignDeps = {
  /** Keys of the logs whose checkpoints are cosigned, and no others; changes of them are followed. */
  readonly logs: readonly VerifierKey[];
  readonly cosigner: Cosigner;
  readonly state: WitnessState;
  readonly now: Clock;
};

/**
 * Answers one `add-checkpoint` request (C2SP tlog-witness): the cosignature line, on disk before it is given.
 * Nothing waits between the look at the newest checkpoint and keeping the new one, so that of two requests at
 * once one sees the other.
 */
export function cosign(body: string, deps: CosignDeps): Result<string, WitnessRefusal> {
  const request = parseAddCheckpoint(body);
  const note = request && parseNote(request.note);
  if (request === undefined || note === undefined) return err({ reason: 'malformed' });
  const { origin } = request.head;
  const logs = keysInForce(deps);
  const judged = judgeCheckpoint(request, logs, deps.state.newest(origin));
  if (!judged.ok) return judged;
  const line = deps.cosigner.cosign(note.text, toEpochSeconds(deps.now()));
  deps.state.keep(origin, `${signedByLog(note, logs)}${line}`);
  return ok(line);
}

/** The checkpoint with the signatures that were verified and no others: what else was sent is not vouched for. */
function signedByLog(
  { text, signatures }: NonNullable<ReturnType<typeof parseNote>>,
  logs: readonly VerifierKey[],
): string {
  const lines = signatures
    .filter(({ name, id }) => logs.some((log) => log.name === name && log.id === id))
    .map(({ name, id, bytes }) => {
      const signature = Buffer.concat([Buffer.from(id, 'hex'), bytes]).toString('base64');
      return `— ${name} ${signature}\n`;
    });
  return `${text}\n${lines.join('')}`;
}
