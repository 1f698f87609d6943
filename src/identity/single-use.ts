/** What is claimed. Each kind has a name space of its own: the id of one never stands for another. */
export type ClaimKind = 'assertion' | 'grant' | 'proof';

/**
 * Remembers who came first with something that serves one holder only: an assertion, a delegation grant, a
 * proof. Claims on one id are serialisable. A rejected promise means "not known": refuse with 503.
 */
export interface SingleUse {
  /** Changes whenever claims may have been forgotten. A grant from another epoch is refused. */
  readonly epoch: string;
  /**
   * `first`: nobody had it before; `again`: the same holder had; `taken`: someone else has it. Remembered at
   * least until `expiresAt` (seconds since the epoch).
   */
  claim(kind: ClaimKind, id: string, holder: string, expiresAt: number): Promise<'first' | 'again' | 'taken'>;
}
