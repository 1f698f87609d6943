import {
  decodeHeaderValue,
  encodeHeaderValue,
  isJsonObject,
  type JsonObject,
  MCP_NAME_SOURCES,
} from '../../base/index.ts';
import { type Era, eraOf, isModernRevision, META, metaOf } from '../upstream/index.ts';
import { fieldOf, type Headers, isPrintable } from './admit-http.ts';
import type { AgentMessage } from './admit-message.ts';
import type { AdmitReason, AdmitRefusal } from './admit-refusal.ts';

/** What `Mcp-Name` has to repeat for a message; undefined where the header has no place. */
export function nameHeaderOf(method: string, params: JsonObject): string | undefined {
  const source = MCP_NAME_SOURCES.get(method);
  const value = source === undefined ? undefined : params[source];
  return typeof value === 'string' ? encodeHeaderValue(value) : undefined;
}

/** The era of a message and the MCP headers that were compared with it and may go on. */
export type Agreement = { readonly era: Era; readonly mcpHeaders: Readonly<Record<string, string>> };

/**
 * Compares the headers that repeat parts of the message with the message, which alone is decided on. The modern
 * era requires them; where older clients send them they must agree all the same, for whoever reads only headers.
 */
export function agreeHeaders(read: AgentMessage, headers: Headers): Agreement | AdmitRefusal {
  const version = fieldOf(headers, 'mcp-protocol-version')?.trim();
  const era = eraOf(read.message, version);
  const mcpHeaders: Record<string, string> = {};
  if (version !== undefined) mcpHeaders['mcp-protocol-version'] = version;
  for (const name in headers) {
    if (name.startsWith('mcp-') && !isPrintable(fieldOf(headers, name) ?? '')) {
      return refuse('header_mismatch', `${name} holds characters that a header cannot carry`);
    }
  }
  if (read.kind === 'response') return { era, mcpHeaders };
  const refusal =
    checkVersion(read, era, version) ??
    checkMethod(read, era, headers, mcpHeaders) ??
    checkName(read, era, headers, mcpHeaders);
  if (refusal !== undefined) return refusal;
  if (era === 'modern') copyParamHeaders(headers, mcpHeaders);
  return { era, mcpHeaders };
}

type Call = Exclude<AgentMessage, { kind: 'response' }>;

function checkVersion(read: Call, era: Era, header: string | undefined): AdmitRefusal | undefined {
  const meta = metaOf(read.message);
  const claim = meta?.[META.protocolVersion];
  if (era === 'legacy') {
    if (read.method !== 'initialize' || header === undefined || !isModernRevision(header)) return undefined;
    return refuse(
      'header_mismatch',
      'initialize begins a session, which the revision in MCP-Protocol-Version does not have',
    );
  }
  if (read.kind === 'request') {
    if (typeof claim !== 'string')
      return refuse('envelope_incomplete', `params._meta must hold ${META.protocolVersion}`);
    if (!isJsonObject(meta?.[META.clientCapabilities])) {
      return refuse('envelope_incomplete', `params._meta must hold ${META.clientCapabilities}`);
    }
    if (header === undefined) return refuse('header_mismatch', 'the MCP-Protocol-Version header is missing');
  }
  if (claim === undefined || header === undefined || claim === header) return undefined;
  return refuse('header_mismatch', 'MCP-Protocol-Version differs from the protocolVersion in params._meta');
}

function checkMethod(
  read: Call,
  era: Era,
  headers: Headers,
  mcpHeaders: Record<string, string>,
): AdmitRefusal | undefined {
  const header = fieldOf(headers, 'mcp-method')?.trim();
  if (header === undefined) {
    const isRequired = era === 'modern' && read.kind === 'request';
    return isRequired ? refuse('header_mismatch', 'the Mcp-Method header is missing') : undefined;
  }
  if (header !== read.method)
    return refuse('header_mismatch', 'Mcp-Method differs from the method in the body');
  mcpHeaders['mcp-method'] = header;
  return undefined;
}

/** An `Mcp-Name` that repeats nothing in the body could only mislead, so it goes no further. */
function checkName(
  read: Call,
  era: Era,
  headers: Headers,
  mcpHeaders: Record<string, string>,
): AdmitRefusal | undefined {
  const source = MCP_NAME_SOURCES.get(read.method);
  if (source === undefined) return undefined;
  const value = read.params?.[source];
  const header = fieldOf(headers, 'mcp-name')?.trim();
  if (header === undefined) {
    const isRequired = era === 'modern' && read.kind === 'request' && typeof value === 'string';
    return isRequired ? refuse('header_mismatch', 'the Mcp-Name header is missing') : undefined;
  }
  if (decodeHeaderValue(header) !== value)
    return refuse('header_mismatch', `Mcp-Name differs from params.${source}`);
  mcpHeaders['mcp-name'] = header;
  return undefined;
}

/** Whether they agree with the arguments only the tool's definition can tell: `checkParamHeaders`. */
function copyParamHeaders(headers: Headers, mcpHeaders: Record<string, string>): void {
  for (const name in headers) {
    const value = name.startsWith('mcp-param-') ? fieldOf(headers, name) : undefined;
    if (value !== undefined) mcpHeaders[name] = value;
  }
}

function refuse(reason: AdmitReason, detail: string): AdmitRefusal {
  return { reason, detail };
}
