import { canonicalJson, type JsonObject, type JsonValue, sha256 } from '../base/index.ts';
import type { DecisionEntry, Hash, LogRecord, OutcomeRecord } from '../intent-log/index.ts';

/** Version of the Open Cybersecurity Schema Framework that events follow. */
export const OCSF_VERSION = '1.9.0';

/** Where the events come from and what stands before them in the chain. */
export type OcsfSource = {
  /** Name of the log, as in its checkpoints. */
  readonly origin: string;
  readonly version: string;
};

/** An event and its fingerprint, which the next one names. */
export type OcsfEvent = { readonly event: JsonObject; readonly fingerprint: string };

const API_ACTIVITY = 6003;
const AUTHORIZE_SESSION = 3003;
const SHA256 = 3;
const INFORMATIONAL = 1;
const LOW = 2;
const MEDIUM = 3;

type Parts = { readonly [name: string]: JsonValue | undefined };

/**
 * A record as an OCSF event: `api_activity` for everything that asks for or does something, `authorize_session`
 * for the start of a run. `raw_data_hash` is the leaf hash of the record, and `record_integrity` chains the
 * events themselves: `previous` is the fingerprint of the event before.
 */
export function toOcsf(
  record: LogRecord,
  leaf: Hash,
  previous: string | undefined,
  source: OcsfSource,
): OcsfEvent {
  const unsealed = defined({
    ...common(record, leaf, source),
    ...specific(record),
    attestation_list: [attestation(record, previous, source)],
  });
  const fingerprint = hex(sha256(canonicalJson(unsealed)));
  const sealed = attestation(record, previous, source);
  const event = {
    ...unsealed,
    attestation_list: [{ ...sealed, fingerprint: { algorithm_id: SHA256, value: fingerprint } }],
  };
  return { event, fingerprint };
}

function attestation(record: LogRecord, previous: string | undefined, { origin }: OcsfSource): JsonObject {
  return defined({
    authority_uid: origin,
    chain_uid: `${origin}#ocsf`,
    prev_event:
      previous === undefined
        ? undefined
        : { uid: `${origin}/${record.idx - 1}`, fingerprint: { algorithm_id: SHA256, value: previous } },
  });
}

function common(record: LogRecord, leaf: Hash, { origin, version }: OcsfSource): Parts {
  return {
    time: Date.parse(record.at),
    metadata: {
      version: OCSF_VERSION,
      uid: `${origin}/${record.idx}`,
      original_event_uid: String(record.idx),
      sequence: record.idx,
      event_code: record.type,
      log_name: origin,
      profiles: ['ai_operation', 'record_integrity', 'security_control'],
      product: { name: 'Sallyport', vendor_name: 'Sallyport', version },
      ...('call' in record ? { correlation_uid: record.call } : {}),
    },
    raw_data_hash: { algorithm_id: SHA256, value: hex(leaf) },
  };
}

function specific(record: LogRecord): Parts {
  switch (record.type) {
    case 'run.open':
      return {
        ...classOf(AUTHORIZE_SESSION, 3, 1),
        severity_id: INFORMATIONAL,
        ...allowed(true),
        status_id: 1,
        message: `run of ${record.agent} for ${record.purpose}`,
        user: { uid: record.spiffeId, name: record.agent, org: { name: record.owner.name } },
        session: defined({
          uid: record.run,
          created_time: record.issuedAt * 1000,
          expiration_time: record.envelope.expiresAt * 1000,
          issuer: record.evidence.attestor,
        }),
        privileges: [...record.envelope.tools],
        src_endpoint: { uid: record.spiffeId, name: record.agent },
        ai_agent: agent(record.agent, record.run),
      };
    case 'intent':
      return {
        ...apiCall(record.subject.method, record),
        severity_id: INFORMATIONAL,
        ...decided(record.decision, true),
        status_id: 0,
      };
    case 'outcome':
      return {
        ...apiCall('outcome', record),
        severity_id: record.status === 'ok' ? INFORMATIONAL : LOW,
        ...allowed(true),
        status_id: statusOf(record),
        status_code: record.status,
        status_detail: record.detail,
      };
    case 'refusal':
      return {
        ...apiCall(record.subject?.method ?? 'unknown', record),
        severity_id: MEDIUM,
        ...(record.decision === undefined ? allowed(false) : decided(record.decision, false)),
        status_id: 2,
        status_code: record.decision?.code ?? record.early?.reason,
        status_detail: record.decision?.reason ?? record.early?.detail,
      };
    default:
      return { ...apiCall(record.type, record), severity_id: INFORMATIONAL, ...allowed(true), status_id: 1 };
  }
}

function statusOf({ status }: OutcomeRecord): number {
  if (status === 'ok') return 1;
  return status === 'unknown' ? 0 : 2;
}

function classOf(classUid: number, categoryUid: number, activityId: number): Parts {
  return {
    class_uid: classUid,
    category_uid: categoryUid,
    activity_id: activityId,
    type_uid: classUid * 100 + activityId,
  };
}

/** What a tool does to the world is not in the record, so the activity is `Other` with the method as its name. */
function apiCall(operation: string, record: LogRecord): Parts {
  const subject = 'subject' in record ? record.subject : undefined;
  const actor = 'actor' in record ? record.actor : undefined;
  const run = 'run' in record ? record.run : undefined;
  const target = subject?.tool === undefined ? operation : `${operation} ${subject.tool}`;
  return {
    ...classOf(API_ACTIVITY, 6, 99),
    activity_name: operation,
    message: subject === undefined ? target : `${target} at ${subject.upstream}`,
    api: defined({
      operation: target,
      service: subject === undefined ? undefined : { name: subject.upstream },
      request: 'call' in record ? { uid: record.call } : undefined,
    }),
    actor: defined({
      app_name: actor?.agent ?? 'sallyport',
      app_uid: actor?.chain[0],
      session: run === undefined ? undefined : { uid: run },
      user: actor === undefined ? undefined : { name: actor.owner },
    }),
    src_endpoint: { name: actor?.agent ?? 'sallyport' },
    ai_agent: actor === undefined || run === undefined ? undefined : agent(actor.agent, run),
  };
}

function agent(name: string, run: string): JsonObject {
  return { uid: name, name, instance_uid: run };
}

function decided({ policies, revision, effect }: DecisionEntry, isAllowed: boolean): Parts {
  return {
    ...allowed(isAllowed),
    authorizations: policies.map((uid) => ({
      decision: effect,
      policy: { uid, version: revision, is_applied: true },
    })),
  };
}

function allowed(isAllowed: boolean): Parts {
  return isAllowed ? { action_id: 1, disposition_id: 1 } : { action_id: 2, disposition_id: 2 };
}

function hex(hash: Hash): string {
  return Buffer.from(hash, 'base64url').toString('hex');
}

function defined(parts: Parts): JsonObject {
  const kept = Object.entries(parts).filter((entry): entry is [string, JsonValue] => entry[1] !== undefined);
  return Object.fromEntries(kept);
}
