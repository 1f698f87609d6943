/** What Cedar calls an evaluation error: the policy is skipped, and a decision made without it must refuse. */
export class EvaluationError extends Error {
  override readonly name = 'EvaluationError';
}

/** Something this evaluator does not hold exactly as Cedar does. Whoever meets it must ask Cedar itself. */
export class NotRepresented extends Error {
  override readonly name = 'NotRepresented';
}
