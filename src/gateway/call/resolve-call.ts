import { askedFor, err, ok, parseUpstreamName, type Result } from '../../base/index.ts';
import type { Target } from '../../cedar/index.ts';
import type { Caller, Run } from '../../identity/index.ts';
import type { BridgeEntry } from '../../intent-log/index.ts';
import { type Admitted, checkParamHeaders } from '../mcp/index.ts';
import type { Era } from '../upstream/index.ts';
import type { Inbound, ResolveRefusal, RpcId } from './call.ts';
import type { CallDeps, UpstreamPort } from './deps.ts';
import { type AskedFor, toAskedFor } from './entries.ts';
import { resolveTarget } from './resolve-target.ts';
import { type TaskOrigin, tasksAskedFor } from './tasks.ts';

/** A request of which everything is known that policy, log and relay need. */
export type Call = {
  readonly inbound: Inbound;
  readonly admitted: Admitted;
  readonly caller: Caller;
  readonly run: Run;
  readonly port: UpstreamPort;
  readonly target: Target;
  /** Absent for notifications, responses and the legs without a message. */
  readonly rpcId?: RpcId;
  /** The upstream's own session id. */
  readonly session?: string;
  /** MCP headers as the upstream is to see them. */
  readonly mcpHeaders: Readonly<Record<string, string>>;
  /** What made the task that this request is about. */
  readonly origin?: TaskOrigin;
  /** What the message asks for (`askedFor`). */
  readonly args: AskedFor;
  readonly bridge?: BridgeEntry;
};

type ResolveDeps = Pick<CallDeps, 'upstreams' | 'sessions' | 'eventIds' | 'catalogue' | 'tasks'>;

/**
 * STEP 3: the upstream, the tool or method, the session and the place in a stream. Sessions, event ids and tasks
 * are good for the run they were given to; anyone else's are unknown.
 */
export function resolveCall(
  request: { readonly inbound: Inbound; readonly admitted: Admitted; readonly bridge?: BridgeEntry },
  caller: Caller,
  deps: ResolveDeps,
): Result<Call, ResolveRefusal> {
  const { inbound, admitted } = request;
  const [run] = caller.chain;
  const name = parseUpstreamName(inbound.upstream);
  const port = name === undefined ? undefined : deps.upstreams.get(name);
  if (name === undefined || port === undefined) return err({ reason: 'unknown_upstream' });

  const session =
    admitted.session === undefined ? undefined : deps.sessions.resolve(run.id, name, admitted.session);
  if (admitted.session !== undefined && session === undefined) return err({ reason: 'unknown_session' });

  const mcpHeaders = { ...admitted.mcpHeaders };
  if (admitted.leg === 'GET' && admitted.lastEventId !== undefined) {
    const eventId = deps.eventIds.open(run.id, name, admitted.lastEventId);
    if (eventId === undefined) return err({ reason: 'unknown_session' });
    mcpHeaders['last-event-id'] = eventId;
  }

  const target = resolveTarget(name, admitted);
  if (!target.ok) return target;
  const mismatch = paramMismatch(target.value, admitted, deps);
  if (mismatch !== undefined) return err({ reason: 'header_mismatch', detail: mismatch });
  const origins = tasksAskedFor(target.value)?.map((taskId) => deps.tasks.find(run.id, name, taskId));
  if (origins?.includes(undefined) === true) {
    // 2026-07-28 has no tasks/result: who asks for one must hear that, not look for a task.
    const isModern = admitted.leg === 'POST' && admitted.era === 'modern';
    const isRemoved = isModern && target.value.kind === 'method' && target.value.method === 'tasks/result';
    return err({ reason: isRemoved ? 'unknown_method' : 'unknown_task' });
  }
  const origin = origins?.length === 1 ? origins[0] : undefined;
  return ok({
    ...request,
    caller,
    run,
    port,
    target: target.value,
    mcpHeaders,
    args: toAskedFor(askedFor(admitted.leg === 'POST' ? admitted.message : undefined)),
    ...(admitted.leg === 'POST' && admitted.kind === 'request' ? { rpcId: admitted.id } : {}),
    ...(session === undefined ? {} : { session }),
    ...(origin === undefined ? {} : { origin }),
  });
}

/** `Mcp-Param-*` repeats arguments; what is routed by header must be what is decided on. */
function paramMismatch(target: Target, admitted: Admitted, deps: ResolveDeps): string | undefined {
  if (target.kind !== 'tool' || admitted.leg !== 'POST' || admitted.era !== 'modern') return undefined;
  const pin = deps.catalogue.tools(target.upstream).get(target.tool);
  return pin === undefined ? undefined : checkParamHeaders(pin.definition, target.args, admitted.mcpHeaders);
}

/** The legs without a message exist in the legacy era only. */
export function eraOf({ admitted }: Call): Era {
  return admitted.leg === 'POST' ? admitted.era : 'legacy';
}
