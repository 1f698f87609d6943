import { UpstreamError, type UpstreamFailure } from './upstream.ts';

/** Failures of a connection that never carried the request: the upstream cannot have acted on it. */
const NOT_SENT = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EPROTO',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_CLOSED',
  'UND_ERR_DESTROYED',
]);

/** Turns what undici throws into the failure the call step knows. An aborted signal explains everything else. */
export function toUpstreamError(error: unknown, signal: AbortSignal): UpstreamError {
  if (error instanceof UpstreamError) return error;
  return new UpstreamError(toFailure(error, signal), { cause: error });
}

function toFailure(error: unknown, signal: AbortSignal): UpstreamFailure {
  if (signal.aborted) return { reason: 'cancelled', detail: 'the call was aborted' };
  const code = codeOf(error);
  if (code === 'UND_ERR_HEADERS_TIMEOUT')
    return { reason: 'timeout', detail: 'no answer within the time limit' };
  if (code.startsWith('HPE_') || code === 'UND_ERR_HEADERS_OVERFLOW') {
    return { reason: 'not_mcp', detail: `the answer is not HTTP (${code})` };
  }
  const isTls = code.startsWith('ERR_TLS') || code.startsWith('ERR_SSL') || /CERT|SIGNATURE/.test(code);
  if (NOT_SENT.has(code) || isTls) return { reason: 'unreachable', detail: code };
  return { reason: 'broken_off', detail: code };
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  const { code } = error as NodeJS.ErrnoException;
  if (typeof code === 'string') return code;
  // Happy-eyeballs connects fail with one error that holds the others.
  return error instanceof AggregateError ? codeOf(error.errors[0]) : error.name;
}
