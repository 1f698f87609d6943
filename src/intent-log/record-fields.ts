import type {
  Actor,
  BridgeEntry,
  Commitment,
  DecisionEntry,
  Destination,
  EarlyRefusal,
  IntentRecord,
  OutcomeRecord,
  RefusalRecord,
  RoundInput,
  Subject,
  TaintRecord,
} from './call-records.ts';
import type {
  BootRecord,
  EpochRecord,
  ErasureRecord,
  GapRecord,
  KeyChangeRecord,
  KeyRotateRecord,
  LogOpenRecord,
  PolicyLoadRecord,
  RecoveryRecord,
  ToolPinRecord,
} from './log-records.ts';
import type { RecordBody } from './record.ts';
import type {
  AgentChangeRecord,
  CredentialIssuedRecord,
  CredentialMention,
  CredentialRevokedRecord,
  KillSwitchRecord,
  RunCloseRecord,
  RunOpenRecord,
  RunRenewRecord,
  TokenRefusalRecord,
} from './run-records.ts';

/** What a field holds: plain values, a list of strings, any JSON object, or an object with fields of its own. */
export type FieldKind = 'string' | 'integer' | 'rpcId' | 'strings' | 'json' | readonly Field[];

/** One field of a record, in the order in which the fields are stored. */
export type Field = { readonly key: string; readonly kind: FieldKind; readonly optional: boolean };

type KindOf<V> = [V] extends [string]
  ? 'string'
  : [V] extends [number]
    ? 'integer'
    : [V] extends [string | number]
      ? 'rpcId'
      : [V] extends [readonly string[]]
        ? 'strings'
        : string extends keyof V
          ? 'json'
          : readonly Field[];

type Optional<K> = { readonly optional: K };

/** The table of a type: every key once, each with a kind that fits. A forgotten field does not compile. */
type Table<T> = {
  readonly [K in keyof T]-?: Record<never, never> extends Pick<T, K>
    ? Optional<KindOf<NonNullable<T[K]>>>
    : KindOf<T[K]>;
};

const optional = <const K extends FieldKind>(kind: K): Optional<K> => ({ optional: kind });

function fields<T>(table: Table<T>): readonly Field[] {
  const entries = Object.entries<FieldKind | Optional<FieldKind>>(table);
  return entries.map(([key, kind]) =>
    typeof kind === 'object' && 'optional' in kind
      ? { key, kind: kind.optional, optional: true }
      : { key, kind, optional: false },
  );
}

const commitment = fields<Commitment>({
  mac: 'string',
  bytes: 'integer',
  kept: optional('string'),
  keptMac: optional('string'),
  redactions: optional('strings'),
});

const actor = fields<Actor>({
  run: 'string',
  agent: 'string',
  owner: 'string',
  chain: 'strings',
  purpose: 'string',
});

const subject = fields<Subject>({
  upstream: 'string',
  method: 'string',
  tool: optional('string'),
  pin: optional('string'),
  args: optional(commitment),
});

const decision = fields<DecisionEntry>({
  effect: 'string',
  policies: 'strings',
  revision: 'string',
  code: optional('string'),
  reason: optional('string'),
  detail: optional('string'),
  callHash: optional('string'),
  asked: optional('json'),
  obligations: optional('strings'),
});

const credential = fields<CredentialMention>({ id: 'string', kind: 'string', expiresAt: 'integer' });

const early = fields<EarlyRefusal>({ reason: 'string', detail: optional('string') });

const input = fields<RoundInput>({ mac: optional('string'), digest: optional('string'), bytes: 'integer' });

const destination = fields<Destination>({
  scheme: 'string',
  host: optional('string'),
  port: optional('integer'),
  protocol: optional('string'),
});

const bridge = fields<BridgeEntry<RoundInput>>({
  from: 'string',
  to: 'string',
  method: 'string',
  call: 'string',
  first: optional('string'),
  input: optional(input),
});

/** The fields of every record type after the envelope, in stored order. docs/log-format.md lists the same. */
export const RECORD_FIELDS: Readonly<Record<RecordBody['type'], readonly Field[]>> = {
  boot: fields<BootRecord>({ type: 'string', version: 'string', config: 'string' }),
  'run.open': fields<RunOpenRecord>({
    type: 'string',
    run: 'string',
    spiffeId: 'string',
    agent: 'string',
    owner: fields<RunOpenRecord['owner']>({ kind: 'string', name: 'string', contact: 'string' }),
    environment: 'string',
    root: 'string',
    parent: optional('string'),
    depth: 'integer',
    key: 'string',
    purpose: 'string',
    taskDigest: optional('string'),
    declared: optional('json'),
    envelope: fields<RunOpenRecord['envelope']>({
      tools: 'strings',
      maxCalls: 'integer',
      maxDepth: 'integer',
      expiresAt: 'integer',
    }),
    evidence: fields<RunOpenRecord['evidence']>({ attestor: 'string', digest: 'string', claims: 'json' }),
    issuedAt: 'integer',
  }),
  'run.close': fields<RunCloseRecord>({
    type: 'string',
    run: 'string',
    state: 'string',
    by: 'string',
    reason: 'string',
  }),
  killswitch: fields<KillSwitchRecord>({
    type: 'string',
    act: 'string',
    target: 'string',
    by: 'string',
    reason: 'string',
  }),
  'run.renew': fields<RunRenewRecord>({
    type: 'string',
    run: 'string',
    evidence: fields<RunRenewRecord['evidence']>({ attestor: 'string', digest: 'string', claims: 'json' }),
    until: 'integer',
  }),
  'token.refusal': fields<TokenRefusalRecord>({
    type: 'string',
    endpoint: 'string',
    error: 'string',
    description: 'string',
    source: 'string',
    grant: optional('string'),
    suppressed: optional('integer'),
  }),
  'agent.change': fields<AgentChangeRecord>({
    type: 'string',
    agent: 'string',
    change: 'string',
    by: 'string',
    reason: 'string',
    entry: optional('json'),
  }),
  intent: fields<IntentRecord>({
    type: 'string',
    call: 'string',
    run: 'string',
    actor,
    subject,
    decision,
    proof: 'string',
    destination: optional(destination),
    carried: optional('strings'),
    labels: optional('strings'),
    continues: optional('string'),
    provenance: optional('json'),
    rpcId: optional('rpcId'),
    traceparent: optional('string'),
    bridge: optional(bridge),
  }),
  outcome: fields<OutcomeRecord>({
    type: 'string',
    call: 'string',
    run: 'string',
    intent: 'string',
    status: 'string',
    result: optional(commitment),
    credential: optional(credential),
    micros: 'integer',
    detail: optional('string'),
  }),
  taint: fields<TaintRecord>({ type: 'string', call: 'string', run: 'string', labels: 'strings' }),
  'credential.issued': fields<CredentialIssuedRecord>({
    type: 'string',
    run: 'string',
    upstream: 'string',
    credential,
  }),
  'credential.revoked': fields<CredentialRevokedRecord>({
    type: 'string',
    run: 'string',
    upstream: 'string',
    credential,
    failure: optional('string'),
  }),
  'key.change': fields<KeyChangeRecord>({
    type: 'string',
    kid: 'string',
    change: 'string',
    by: 'string',
  }),
  'key.rotate': fields<KeyRotateRecord>({
    type: 'string',
    from: 'string',
    to: 'string',
    note: 'string',
    until: 'integer',
    by: 'string',
    reason: 'string',
  }),
  'log.open': fields<LogOpenRecord>({
    type: 'string',
    origin: 'string',
    previous: fields<LogOpenRecord['previous']>({ origin: 'string', checkpoint: 'string' }),
    by: 'string',
    reason: 'string',
  }),
  refusal: fields<RefusalRecord>({
    type: 'string',
    call: 'string',
    run: optional('string'),
    actor: optional(actor),
    subject: optional(subject),
    decision: optional(decision),
    early: optional(early),
    proof: optional('string'),
    carried: optional('strings'),
    rpcId: optional('rpcId'),
    micros: 'integer',
    bridge: optional(bridge),
  }),
  'policyset.load': fields<PolicyLoadRecord>({
    type: 'string',
    revision: 'string',
    policies: 'strings',
    digest: optional('string'),
  }),
  'toolset.pin': fields<ToolPinRecord>({
    type: 'string',
    upstream: 'string',
    digest: 'string',
    tools: 'json',
    annotations: optional('string'),
    instructions: optional('string'),
    prompts: optional('json'),
    rejected: optional('json'),
    rejectedPrompts: optional('json'),
    by: optional('string'),
  }),
  recovery: fields<RecoveryRecord>({ type: 'string', unknown: 'strings' }),
  epoch: fields<EpochRecord>({ type: 'string', runs: 'integer', heads: 'string', inFlight: 'integer' }),
  gap: fields<GapRecord>({ type: 'string', reason: 'string', dropped: 'integer' }),
  erasure: fields<ErasureRecord>({
    type: 'string',
    runs: 'strings',
    parts: 'integer',
    by: 'string',
    reason: 'string',
  }),
};
