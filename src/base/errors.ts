/** Every code a `SallyportError` can carry; each is explained in docs/errors.md (a test compares both ways). */
export type ErrorCode =
  | 'ERR_CATALOGUE_INVALID'
  | 'ERR_CONFIG_INVALID'
  | 'ERR_DATA_FOLDER'
  | 'ERR_EXPORT_REFUSED'
  | 'ERR_KEY_INVALID'
  | 'ERR_LOG_COPY_REFUSED'
  | 'ERR_LOG_COPY_UNAVAILABLE'
  | 'ERR_LOG_CORRUPT'
  | 'ERR_LOG_UNAVAILABLE'
  | 'ERR_NODE_VERSION'
  | 'ERR_PDP_SELF_TEST'
  | 'ERR_POLICY_INVALID'
  | 'ERR_PORT_IN_USE'
  | 'ERR_REQUEST_REFUSED'
  | 'ERR_STATE_UNAVAILABLE';

/**
 * The one error class: something that should not happen, told apart by `code`.
 * Messages are lower case, without a period, name the field and the fix, and never hold a secret.
 */
export class SallyportError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'SallyportError';
    this.code = code;
  }
}
