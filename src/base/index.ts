export { askedFor } from './asked-for.ts';
export type { Brand } from './brand.ts';
export { canonicalJson } from './canonical-json.ts';
export { type Clock, systemClock, toEpochSeconds } from './clock.ts';
export { digestJson, sha256 } from './digest.ts';
export { type ErrorCode, SallyportError } from './errors.ts';
export {
  type AgentName,
  type CallId,
  createIdSource,
  type IdSource,
  parseAgentName,
  parseCallId,
  parseRunId,
  parseUpstreamName,
  type RunId,
  type UpstreamName,
} from './ids.ts';
export { isJsonObject, type JsonArray, type JsonObject, type JsonValue } from './json.ts';
export { decodeHeaderValue, encodeHeaderValue, MCP_NAME_SOURCES } from './mcp-header-value.ts';
export { type Err, err, type Ok, ok, type Result } from './result.ts';
export { startThread } from './start-thread.ts';
export { type JsonDefect, type JsonTolerance, parseStrictJson } from './strict-json.ts';
export { VERSION } from './version.ts';
