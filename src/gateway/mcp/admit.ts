import { err, ok, type Result } from '../../base/index.ts';
import { type Era, isModernRevision } from '../upstream/index.ts';
import {
  type AdmissionRules,
  checkGetHeaders,
  checkOpaqueHeaders,
  checkPostHeaders,
  checkSite,
  fieldOf,
  type Headers,
} from './admit-http.ts';
import { type AgentMessage, readAgentMessage } from './admit-message.ts';
import type { AdmitRefusal } from './admit-refusal.ts';
import { agreeHeaders } from './header-agreement.ts';

/** One HTTP request, its body read whole. */
export type AgentRequest = {
  readonly method: string;
  readonly headers: Headers;
  readonly body: Buffer | undefined;
};

type Leg = {
  /** MCP headers that may go on to the upstream, lower case. */
  readonly mcpHeaders: Readonly<Record<string, string>>;
  /** The session id as the agent knows it. */
  readonly session?: string;
};

/** A request that is well formed in every respect. Who sent it and what it may do are other steps' questions. */
export type Admitted =
  | (Leg & { readonly leg: 'POST'; readonly era: Era } & AgentMessage)
  | (Leg & { readonly leg: 'GET'; readonly lastEventId?: string })
  | (Leg & { readonly leg: 'DELETE' });

/**
 * STEP 1: everything that can be said of a request without knowing its sender. What passes is one message (or a
 * leg without one) that all parsers read the same way and whose headers tell the same story as its body.
 */
export function admitRequest(request: AgentRequest, rules: AdmissionRules): Result<Admitted, AdmitRefusal> {
  const { headers } = request;
  const refusal = checkSite(headers, rules) ?? checkOpaqueHeaders(headers);
  if (refusal !== undefined) return err(refusal);
  switch (request.method) {
    case 'POST':
      return admitPost(request, rules);
    case 'GET':
    case 'DELETE':
      return admitSessionLeg(request.method, headers);
    default:
      return err({ reason: 'method_not_allowed', detail: 'the MCP endpoint takes POST, GET and DELETE' });
  }
}

function admitPost({ headers, body }: AgentRequest, rules: AdmissionRules): Result<Admitted, AdmitRefusal> {
  const refusal = checkPostHeaders(headers);
  if (refusal !== undefined) return err(refusal);
  const { bodyBytes } = rules.limits;
  if (body === undefined) return err({ reason: 'not_json', detail: 'the body is empty' });
  if (body.length > bodyBytes)
    return err({ reason: 'body_too_large', detail: `the body exceeds ${bodyBytes} bytes` });
  const read = readAgentMessage(body);
  if (!read.ok) return read;
  const agreement = agreeHeaders(read.value, headers);
  if ('reason' in agreement) {
    return err(read.value.kind === 'request' ? { ...agreement, id: read.value.id } : agreement);
  }
  // The modern era has no sessions: its servers ignore the header, so it goes nowhere.
  const session = agreement.era === 'legacy' ? fieldOf(headers, 'mcp-session-id') : undefined;
  return ok({ leg: 'POST', ...read.value, ...agreement, ...(session === undefined ? {} : { session }) });
}

/** GET and DELETE belong to sessions, which the modern era does not have. */
function admitSessionLeg(leg: 'GET' | 'DELETE', headers: Headers): Result<Admitted, AdmitRefusal> {
  const version = fieldOf(headers, 'mcp-protocol-version')?.trim();
  if (version !== undefined && isModernRevision(version)) {
    return err({ reason: 'method_not_allowed', detail: `this revision of MCP has no ${leg}` });
  }
  const session = fieldOf(headers, 'mcp-session-id');
  const common = {
    mcpHeaders: version === undefined ? {} : { 'mcp-protocol-version': version },
    ...(session === undefined ? {} : { session }),
  };
  if (leg === 'DELETE') return ok({ leg, ...common });
  const refusal = checkGetHeaders(headers);
  if (refusal !== undefined) return err(refusal);
  const lastEventId = fieldOf(headers, 'last-event-id');
  if (lastEventId === undefined) return ok({ leg, ...common });
  const mcpHeaders = { ...common.mcpHeaders, 'last-event-id': lastEventId };
  return ok({ leg, ...common, mcpHeaders, lastEventId });
}
