export type { VerifiedCall } from './call-claims.ts';
export { type CallReply, type CallRequest, callTokenHook, verifiedCallOf } from './fastify.ts';
export { receivedCall } from './json-rpc-call.ts';
export { type CallHandler, withCallToken } from './node-http.ts';
export { refusalToHttp, type VerifyAnswer, type VerifyRefusal, type VerifyRefusalReason } from './refusal.ts';
export { createReplayCache, type ReplayCache } from './replay-cache.ts';
export { createVerifier, type ReceivedCall, type Verifier, type VerifierOptions } from './verifier.ts';
