import type { Logger } from 'pino';
import type { Clock, UpstreamName } from '../../base/index.ts';
import type { Pdp, RunHistory } from '../../cedar/index.ts';
import type {
  AuthenticateDeps,
  AuthenticationRequest,
  CredentialSource,
  RunWatch,
} from '../../identity/index.ts';
import type { Destination, IntentLog, LogHealth } from '../../intent-log/index.ts';
import type { PinnedCatalogue } from '../catalogue.ts';
import type { AdmissionRules, EventIds, Sessions } from '../mcp/index.ts';
import type { Provenances } from '../provenances.ts';
import type { Rechecks } from '../rechecks.ts';
import type { Upstream } from '../upstream/index.ts';
import type { Inbound } from './call.ts';
import type { InFlight } from './in-flight.ts';
import type { Resumption } from './resumption.ts';
import type { Tasks } from './tasks.ts';

/** An upstream and where its credentials come from. */
export type UpstreamPort = {
  readonly upstream: Upstream;
  /** Where its messages go, for the record; absent where the gateway answers in its place. */
  readonly destination?: Destination;
  readonly credential: CredentialSource;
};

/** Everything the way of a call needs, wired in one place. */
export type CallDeps = {
  readonly admission: AdmissionRules;
  /** What a request shows to prove its identity, and for which of our URLs. */
  readonly credentialsOf: (inbound: Inbound) => AuthenticationRequest;
  readonly identity: AuthenticateDeps;
  readonly upstreams: ReadonlyMap<UpstreamName, UpstreamPort>;
  readonly catalogue: PinnedCatalogue;
  readonly rechecks: Rechecks;
  readonly sessions: Sessions;
  readonly eventIds: EventIds;
  readonly history: RunHistory;
  readonly provenances: Provenances;
  readonly inFlight: InFlight;
  readonly watch: Pick<RunWatch, 'isCurrent'>;
  readonly resumption: Resumption;
  readonly tasks: Tasks;
  readonly pdp: Pdp;
  readonly intentLog: IntentLog;
  /** Name of the log, for receipts. */
  readonly logOrigin: string;
  readonly logHealth: () => LogHealth;
  readonly now: Clock;
  readonly log: Logger;
};
