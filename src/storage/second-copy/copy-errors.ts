import { SallyportError } from '../../base/index.ts';

/** The second copy cannot be used now. What waits for it is refused, and it is tried again. */
export function unavailable(why: string, cause?: unknown): SallyportError {
  return new SallyportError('ERR_LOG_COPY_UNAVAILABLE', `the second copy of the log cannot be used: ${why}`, {
    cause,
  });
}

/** The second copy must not be used as it is; somebody has to decide. */
export function refused(why: string): SallyportError {
  return new SallyportError('ERR_LOG_COPY_REFUSED', `the second copy of the log: ${why}`);
}

/** There is a log here and nothing there. It is not filled again in silence: records may have been lost. */
export function wiped(): SallyportError {
  return refused(
    'the stream is gone or empty while the log here is not; find out why, then run "sallyport log copy" to fill it from here',
  );
}

/** What the copy holds says that the local log is not the whole one. */
export function longer(here: number, there: number): SallyportError {
  return refused(
    `it holds ${there} records and the data folder ${here}: acknowledged records are missing here, or another gateway wrote under the same name; keep both as evidence, and run "sallyport log restore --from-remote" to get them back`,
  );
}

/** Two logs with one name. */
export function forked(idx: number): SallyportError {
  return refused(
    `record ${idx} there is not the one here: two gateways wrote under the same name, or one of them was put back; keep both as evidence, and go on with a data folder and a name of its own`,
  );
}

/** Another process writes to the stream now. */
export function takenOver(epoch: number): SallyportError {
  return refused(
    `another process with the same log took it over (epoch ${epoch}); run one gateway for each name, with a data folder of its own`,
  );
}

/** The stream grew between two looks at it. */
export function contested(): SallyportError {
  return refused(
    'another process writes to it at this moment; run one gateway for each name, with a data folder of its own',
  );
}
