import type { AdmitRefusal } from './admit-refusal.ts';

/** Header fields as node:http gives them: lower-case names. */
export type Headers = Readonly<Record<string, string | string[] | undefined>>;

/** Who may reach the agent plane, and how much may be sent. */
export type AdmissionRules = {
  /** `host` (any port) or `host:port`, lower case, as in the `Host` header; IPv6 in brackets. */
  readonly allowedHosts: readonly string[];
  /** Exact `Origin` values of browsers that may call. */
  readonly allowedOrigins: readonly string[];
  readonly limits: { readonly bodyBytes: number };
};

const VISIBLE = /^[\x21-\x7e]+$/;
const PRINTABLE = /^[\x20-\x7e]*$/;
const MAX_SESSION_ID = 256;
const MAX_EVENT_ID = 1024;
const JSON_TYPE = /^application\/json\s*(?:;\s*charset\s*=\s*(?:utf-8|"utf-8")\s*)?$/;

/** One value of a header field; repeated fields are joined, as HTTP says, and then match nothing. */
export function fieldOf(headers: Headers, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value.join(', ') : value;
}

/**
 * Refuses requests that were made through a name or page that is not ours (DNS rebinding). A missing `Origin` is
 * fine: programs send none.
 */
export function checkSite(headers: Headers, rules: AdmissionRules): AdmitRefusal | undefined {
  const host = fieldOf(headers, 'host')?.toLowerCase() ?? '';
  const isKnown = rules.allowedHosts.includes(host) || rules.allowedHosts.includes(host.replace(/:\d+$/, ''));
  if (!isKnown || host === '')
    return { reason: 'host_not_allowed', detail: 'the Host header names no host of this gateway' };
  const origin = fieldOf(headers, 'origin');
  if (origin === undefined || rules.allowedOrigins.includes(origin.toLowerCase())) return undefined;
  return { reason: 'origin_not_allowed', detail: 'the Origin header is not among the allowed origins' };
}

/** POST carries JSON, uncompressed and in UTF-8, and its sender takes both kinds of answer. */
export function checkPostHeaders(headers: Headers): AdmitRefusal | undefined {
  const type = fieldOf(headers, 'content-type') ?? '';
  const encoding = fieldOf(headers, 'content-encoding') ?? 'identity';
  if (type !== 'application/json' && !JSON_TYPE.test(type.trim().toLowerCase())) {
    return { reason: 'unsupported_media_type', detail: 'Content-Type must be application/json in UTF-8' };
  }
  if (encoding.toLowerCase() !== 'identity') {
    return { reason: 'unsupported_media_type', detail: 'Content-Encoding must be identity' };
  }
  const accept = fieldOf(headers, 'accept') ?? '';
  if (accepts(accept, 'application', 'json') && accepts(accept, 'text', 'event-stream')) return undefined;
  return { reason: 'not_acceptable', detail: 'Accept must list application/json and text/event-stream' };
}

export function checkGetHeaders(headers: Headers): AdmitRefusal | undefined {
  if (accepts(fieldOf(headers, 'accept') ?? '', 'text', 'event-stream')) return undefined;
  return { reason: 'not_acceptable', detail: 'Accept must list text/event-stream' };
}

/** `Mcp-Session-Id` and `Last-Event-ID` go on to others, so they are short and plain. */
export function checkOpaqueHeaders(headers: Headers): AdmitRefusal | undefined {
  const session = fieldOf(headers, 'mcp-session-id');
  if (session !== undefined && (session.length > MAX_SESSION_ID || !VISIBLE.test(session))) {
    return {
      reason: 'bad_header',
      detail: `Mcp-Session-Id must be at most ${MAX_SESSION_ID} visible ASCII characters`,
    };
  }
  const event = fieldOf(headers, 'last-event-id');
  if (event !== undefined && (event.length > MAX_EVENT_ID || !PRINTABLE.test(event))) {
    return {
      reason: 'bad_header',
      detail: `Last-Event-ID must be at most ${MAX_EVENT_ID} printable ASCII characters`,
    };
  }
  return undefined;
}

export function isPrintable(value: string): boolean {
  return PRINTABLE.test(value);
}

/** What nearly every client sends. */
const USUAL_ACCEPT = 'application/json, text/event-stream';

function accepts(accept: string, type: string, subtype: string): boolean {
  if (accept === USUAL_ACCEPT) return true;
  return accept.split(',').some((range) => {
    const [name = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    if (parameters.some((parameter) => /^q\s*=\s*0(?:\.0*)?$/.test(parameter))) return false;
    return name === `${type}/${subtype}` || name === `${type}/*` || name === '*/*';
  });
}
