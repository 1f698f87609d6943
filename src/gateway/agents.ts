import { type AgentName, err, type JsonObject, ok, parseAgentName, type Result } from '../base/index.ts';
import {
  endRun,
  type LiveAgentRegistry,
  parseAgent,
  type Run,
  type RunJournal,
  type RunStore,
  ruleProblems,
} from '../identity/index.ts';
import type { AgentChangeRecord, IntentLog } from '../intent-log/index.ts';
import type { AgentChangeResult, AgentList } from './admin/agents-contract.ts';
import { type AgentChangeStore, type AgentChanges, RegisteredEntry } from './agent-changes.ts';
import type { Config } from './config.ts';

/** Who changes something, and why. */
export type ByWhom = { readonly by: string; readonly reason: string };

/** Why a change is not made. `status` is that of HTTP. */
export type ChangeRefusal = { readonly status: 400 | 404 | 409; readonly message: string };

/** The registry of agents as operators use it. Every change is in the log and on disk when it resolves. */
export type AgentAdmin = {
  list(): Promise<AgentList>;
  /** In force at once; live runs of the agent, and what hangs below them, end before it resolves. */
  disable(agent: string, who: ByWhom): Promise<Result<AgentChangeResult, ChangeRefusal>>;
  enable(agent: string, who: ByWhom): Promise<Result<AgentChangeResult, ChangeRefusal>>;
  register(entry: unknown, who: ByWhom): Promise<Result<AgentChangeResult, ChangeRefusal>>;
  /** For agents that were registered here; the configuration's are disabled instead. */
  remove(agent: string, who: ByWhom): Promise<Result<AgentChangeResult, ChangeRefusal>>;
};

export type AgentAdminDeps = {
  readonly config: Pick<Config, 'agents' | 'attestors' | 'upstreams'>;
  readonly registry: LiveAgentRegistry;
  readonly store: AgentChangeStore;
  readonly intentLog: IntentLog;
  readonly runs: RunStore;
  readonly journal: RunJournal;
};

/** Brings a registry made from the configuration to what operators changed before. */
export async function applyAgentChanges(registry: LiveAgentRegistry, store: AgentChangeStore): Promise<void> {
  const { disabled, registered } = await store.load();
  const known = new Set(registry.all().map(({ agent }) => agent.name));
  for (const { agent, attestation } of registered) {
    const parsed = parseAgent(agent, []);
    if (parsed !== undefined && !known.has(parsed.name)) registry.register(parsed, attestation);
  }
  for (const text of disabled) {
    const name = parseAgentName(text);
    if (name !== undefined) registry.setDisabled(name, true);
  }
}

export function createAgentAdmin(deps: AgentAdminDeps): AgentAdmin {
  const { registry, store } = deps;
  let changing: Promise<unknown> = Promise.resolve();
  /** One at a time: two changes of one file must not lose one of them. */
  function inTurn<T>(change: () => Promise<T>): Promise<T> {
    const turn = changing.then(change, change);
    changing = turn.catch(() => undefined);
    return turn;
  }

  async function record(
    change: AgentChangeRecord,
    edit: (changes: AgentChanges) => AgentChanges,
  ): Promise<void> {
    await deps.intentLog.append(change);
    await store.save(edit(await store.load()));
  }

  function find(text: string) {
    return registry.all().find(({ agent }) => agent.name === text);
  }

  return {
    async list() {
      const live = await deps.runs.live();
      return { agents: registry.all().map((one) => toView(one, live)) };
    },
    disable: (text, who) =>
      inTurn(async () => {
        const found = find(text);
        if (found === undefined) return unknownAgent();
        const { name } = found.agent;
        registry.setDisabled(name, true); // first: no run opens while the live ones end
        const ended = await endRunsOf(name, { ...who, reason: `agent disabled: ${who.reason}` }, deps);
        await record({ type: 'agent.change', agent: name, change: 'disable', ...who }, (changes) => ({
          ...changes,
          disabled: [...without(changes.disabled, name), name],
        }));
        return ok({ agent: name, ended });
      }),
    enable: (text, who) =>
      inTurn(async () => {
        const found = find(text);
        if (found === undefined) return unknownAgent();
        const { name } = found.agent;
        if (deps.config.agents.some((one) => one.name === name && one.disabled))
          return refuse(409, 'the agent is disabled in the configuration file; enable it there');
        await record({ type: 'agent.change', agent: name, change: 'enable', ...who }, (changes) => ({
          ...changes,
          disabled: without(changes.disabled, name),
        }));
        registry.setDisabled(name, false); // last: an agent is back only when that is written down
        return ok({ agent: name, ended: [] });
      }),
    register: (value, who) =>
      inTurn(async () => {
        const entry = RegisteredEntry.safeParse(value);
        if (!entry.success)
          return refuse(
            400,
            entry.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; '),
          );
        const problems = registrationProblems(entry.data, deps);
        const agent = parseAgent(entry.data.agent, problems);
        if (agent === undefined || problems.length > 0) return refuse(400, problems.join('; '));
        if (find(agent.name) !== undefined) return refuse(409, 'an agent of this name is registered already');
        const kept = entry.data as unknown as JsonObject;
        await record(
          { type: 'agent.change', agent: agent.name, change: 'register', ...who, entry: kept },
          (changes) => ({ ...changes, registered: [...changes.registered, entry.data] }),
        );
        registry.register(agent, entry.data.attestation);
        registry.setDisabled(agent.name, entry.data.agent.disabled);
        return ok({ agent: agent.name, ended: [] });
      }),
    remove: (text, who) =>
      inTurn(async () => {
        const found = find(text);
        if (found === undefined) return unknownAgent();
        if (found.from === 'config')
          return refuse(409, 'the agent is in the configuration file; disable it, or remove it there');
        const { name } = found.agent;
        registry.setDisabled(name, true);
        const ended = await endRunsOf(name, { ...who, reason: `agent removed: ${who.reason}` }, deps);
        await record({ type: 'agent.change', agent: name, change: 'remove', ...who }, (changes) => ({
          disabled: without(changes.disabled, name),
          registered: changes.registered.filter(({ agent }) => agent.name !== name),
        }));
        registry.remove(name);
        return ok({ agent: name, ended });
      }),
  };
}

/**
 * Ends live runs of agents that may have none any more: those that were taken out of the configuration or disabled
 * while the gateway was down. With shared state the agents that this gateway does not know may be another's.
 */
export async function endOrphanedRuns(
  deps: Pick<AgentAdminDeps, 'registry' | 'runs' | 'journal'> & { readonly isShared: boolean },
): Promise<void> {
  const known = new Set(deps.registry.all().map(({ agent }) => agent.name));
  for (const run of await deps.runs.live()) {
    const isOfOthers = deps.isShared && !known.has(run.agent);
    if (isOfOthers || deps.registry.find(run.agent) !== undefined) continue;
    const reason = 'the agent is not registered any more, or is disabled';
    await endRun(run.id, { state: 'revoked', by: 'gateway', reason }, deps);
  }
}

async function endRunsOf(name: AgentName, { by, reason }: ByWhom, deps: AgentAdminDeps): Promise<string[]> {
  const ended: Run[] = [];
  for (const run of await deps.runs.live()) {
    if (run.agent === name) ended.push(...(await endRun(run.id, { state: 'revoked', by, reason }, deps)));
  }
  return ended.map(({ id }) => id);
}

/** What policies and attestors do not know cannot be registered while they are in force. */
function registrationProblems({ agent, attestation }: RegisteredEntry, { config }: AgentAdminDeps): string[] {
  const problems: string[] = [];
  const upstreams = new Set<string>(config.upstreams.map(({ name }) => name));
  const purposes = new Set(config.agents.flatMap((one) => one.purposes));
  const environments = new Set([...config.agents, ...config.upstreams].map(({ environment }) => environment));
  if (agent.name === 'sallyport') problems.push('agent.name: is that of the gateway itself');
  for (const pattern of agent.tools) {
    const upstream = pattern.slice(0, pattern.indexOf('/'));
    if (!upstreams.has(upstream)) problems.push(`agent.tools: no upstream is called "${upstream}"`);
  }
  for (const purpose of agent.purposes) {
    if (!purposes.has(purpose))
      problems.push(`agent.purposes: policies do not know "${purpose}"; add it to the configuration`);
  }
  if (!environments.has(agent.environment))
    problems.push(
      `agent.environment: policies do not know "${agent.environment}"; add it to the configuration`,
    );
  for (const [index, { attestor, claims }] of attestation.entries()) {
    const found = config.attestors.find(({ kind, name }) => kind === 'jwt' && name === attestor);
    const at = `attestation[${index}]`;
    if (found?.kind !== 'jwt') problems.push(`${at}.attestor: no jwt attestor is called "${attestor}"`);
    else problems.push(...ruleProblems(`${at}.claims`, found.issuer, claims, found.preset));
  }
  return problems;
}

function toView(
  { agent, from, isDisabled }: ReturnType<LiveAgentRegistry['all']>[number],
  live: readonly Run[],
): AgentList['agents'][number] {
  const { name, owner, environment, purposes, tools, maxCalls, maxDepth, maxRunSeconds } = agent;
  const limits = { maxCalls, maxDepth, maxRunSeconds };
  const liveRuns = live.filter((run) => run.agent === name).length;
  const lists = { purposes: [...purposes], tools: [...tools] };
  return {
    name,
    owner: { ...owner },
    environment,
    ...lists,
    ...limits,
    from,
    disabled: isDisabled,
    liveRuns,
  };
}

function without(names: readonly string[], name: string): string[] {
  return names.filter((one) => one !== name);
}

function unknownAgent(): Result<never, ChangeRefusal> {
  return refuse(404, 'no agent has this name; "sallyport agents list" shows them');
}

function refuse(status: ChangeRefusal['status'], message: string): Result<never, ChangeRefusal> {
  return err({ status, message });
}
