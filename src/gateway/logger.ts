import { type DestinationStream, type Logger, pino } from 'pino';

/** Paths that could hold a secret or content; pino replaces their values before anything is written. */
export const REDACTED_PATHS = [
  'authorization',
  'dpop',
  'token',
  'assertion',
  'credential',
  'args',
  'headers.authorization',
  'headers.dpop',
  'headers.cookie',
  '*.authorization',
  '*.dpop',
  '*.token',
  '*.assertion',
  '*.credential',
  '*.args',
  'err.headers',
  'err.body',
] as const;

/**
 * The operator's log: messages are constants, data is in fields. It is for running the gateway; what happened
 * to calls is in the intent log.
 */
export function createLogger(level: string, destination: DestinationStream = process.stderr): Logger {
  return pino(
    { level, base: null, redact: { paths: [...REDACTED_PATHS], censor: '[redacted]' } },
    destination,
  );
}
