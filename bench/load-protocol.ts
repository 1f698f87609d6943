import type { JsonWebKey } from 'node:crypto';

/** How a caller of the load generator gets a run: an assertion of an issuer whose key it holds (RFC 7523). */
export type RunGrant = {
  readonly tokenUrl: string;
  /** RFC 8707 `resource` of the run token. */
  readonly resource: string;
  readonly issuer: string;
  readonly subject: string;
  readonly audience: string;
  readonly purpose: string;
  /** Private ES256 key of the issuer. */
  readonly issuerKey: JsonWebKey & { readonly kid: string };
};

/** Where calls go. Without a `grant` they carry no token. */
export type Address = { readonly name: string; readonly url: string; readonly grant?: RunGrant };

/** What the parent asks the load generator. `run` does what the last `prepare` got ready. */
export type LoadCommand =
  | {
      readonly kind: 'prepare';
      readonly address: Address;
      readonly callers: number;
      readonly callsPerCaller: number;
    }
  | { readonly kind: 'run' };

/** What happened in a timed part. Latencies in milliseconds, one for each call. */
export type LoadResult = { readonly seconds: number; readonly latencies: readonly number[] };

/** What the load generator answers, one for each command. */
export type LoadReply =
  | { readonly kind: 'ready' }
  | { readonly kind: 'done'; readonly result: LoadResult }
  | { readonly kind: 'failed'; readonly message: string };
