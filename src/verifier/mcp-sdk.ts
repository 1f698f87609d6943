import { AsyncLocalStorage } from 'node:async_hooks';
import { ok, type Result } from '../base/index.ts';
import type { VerifiedCall } from './call-claims.ts';
import type { ExpressRequest, ExpressResponse } from './express.ts';
import { receivedCall } from './json-rpc-call.ts';
import type { ReceivedCall, Verifier } from './verifier.ts';
import { receiveRequest } from './web.ts';

/** What the MCP SDKs call `AuthInfo`, with the verified call in `extra`. */
export type CallAuthInfo = {
  readonly token: string;
  /** SPIFFE ID of the agent. */
  readonly clientId: string;
  readonly scopes: string[];
  /** Seconds since the epoch. */
  readonly expiresAt: number;
  readonly resource: URL;
  readonly extra: { readonly call: VerifiedCall };
};

/** An `OAuthTokenVerifier` of the MCP SDKs, version 1 and 2, that checks call tokens. */
export interface McpTokenVerifier {
  /** For `requireBearerAuth({ verifier })`. Rejects with what `refuse` makes, also outside `receive` and `during`. */
  verifyAccessToken(token: string): Promise<CallAuthInfo>;
  /** Express middleware that notes what is asked for; goes between `express.json()` and `requireBearerAuth`. */
  receive(request: ExpressRequest, response: ExpressResponse, next: () => void): void;
  /** The same around the web-standard `requireBearerAuth` of version 2: `during(request, () => gate(request))`. */
  during<T>(request: Request, gate: () => Promise<T>): Promise<T | Response>;
}

/**
 * The SDKs show a token verifier the token and nothing of the request, but a call token is good for one call: so
 * the request is noted first and found again when the token is looked at. `refuse` makes the error that the SDK
 * in use answers with 401: `(message) => new InvalidTokenError(message)` in version 1,
 * `(message) => new OAuthError(OAuthErrorCode.InvalidToken, message)` in version 2.
 */
export function createMcpTokenVerifier(
  verifier: Verifier,
  options: { readonly audience: string; readonly refuse: (message: string) => Error },
): McpTokenVerifier {
  const { audience, refuse } = options;
  const received = new AsyncLocalStorage<Result<ReceivedCall, string>>();
  return {
    async verifyAccessToken(token) {
      const call = received.getStore();
      if (call === undefined) throw refuse('the request was not seen; put receive before requireBearerAuth');
      if (!call.ok) throw refuse(call.error);
      const verified = await verifier.verify(`Bearer ${token}`, call.value);
      if (!verified.ok) throw refuse(verified.error.message);
      const { agent: clientId, expiresAt } = verified.value;
      const extra = { call: verified.value };
      return { token, clientId, scopes: [], expiresAt, resource: new URL(audience), extra };
    },
    receive: (request, _response, next) =>
      received.run(receivedCall(request.method, request.body, request.headers), next),
    async during(request, gate) {
      const call = await receiveRequest(request);
      return call.ok ? received.run(ok(call.value), gate) : call.error;
    },
  };
}
