export { type HttpUpstreamOptions, openHttpUpstream } from './http-upstream.ts';
export {
  type Era,
  eraOf,
  isModernRevision,
  isRpcId,
  kindOfMessage,
  LEGACY_REVISION,
  META,
  type MessageKind,
  MODERN_REVISION,
  metaOf,
  RPC_ERROR,
  type RpcId,
  rpcError,
} from './protocol.ts';
export type { StdioLog } from './stdio-session.ts';
export { openStdioUpstream, type StdioUpstreamDeps, type StdioUpstreamOptions } from './stdio-upstream.ts';
export {
  type Answer,
  type Authorize,
  type JsonRpcMessage,
  type Outgoing,
  type Spoken,
  type StreamEvent,
  type ToolDefinition,
  type Upstream,
  type UpstreamDescription,
  UpstreamError,
  type UpstreamFailure,
} from './upstream.ts';
