import { expect } from 'vitest';
import { UpstreamError, type UpstreamFailure } from '../../src/gateway/upstream/index.ts';

/** Expects an `UpstreamError` with this reason and returns its failure. */
export async function expectFailure(
  promise: Promise<unknown>,
  reason: UpstreamFailure['reason'],
): Promise<UpstreamFailure> {
  const error: unknown = await promise.then(
    (value) => new Error(`resolved with ${JSON.stringify(value)}`),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof UpstreamError)) throw error;
  expect(error.failure.reason).toBe(reason);
  return error.failure;
}
