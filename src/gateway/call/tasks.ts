import {
  type CallId,
  isJsonObject,
  type JsonObject,
  type RunId,
  type UpstreamName,
} from '../../base/index.ts';
import type { Target } from '../../cedar/index.ts';
import type { JsonRpcMessage } from '../upstream/index.ts';

/** The call that made a task, as far as what comes after it must know. */
export type TaskOrigin = {
  readonly call: CallId;
  /** What its result would have put on the delegation tree, so the task's result does. */
  readonly labels: readonly string[];
};

/**
 * Which run a task belongs to: the one whose call made it. Another run's task and one that never was are both
 * unknown, whatever their upstream would say.
 */
export type Tasks = {
  bind(run: RunId, upstream: UpstreamName, taskId: string, origin: TaskOrigin): void;
  find(run: RunId, upstream: UpstreamName, taskId: unknown): TaskOrigin | undefined;
  /** The upstreams at which a run has tasks. */
  upstreams(run: RunId): readonly UpstreamName[];
  /** Forgets all tasks of a run. */
  end(run: RunId): void;
};

const MAX_PER_RUN = 1024;
const MAX_TASK_ID = 512;

/** Keeps tasks in memory. A run that has more than 1,024 loses the oldest. */
export function createTasks(): Tasks {
  const runs = new Map<RunId, Map<string, TaskOrigin & { readonly upstream: UpstreamName }>>();
  return {
    bind(run, upstream, taskId, origin) {
      const tasks = runs.get(run) ?? new Map();
      const [oldest] = tasks.keys();
      if (tasks.size >= MAX_PER_RUN && oldest !== undefined) tasks.delete(oldest);
      runs.set(run, tasks.set(keyOf(upstream, taskId), { ...origin, upstream }));
    },
    find: (run, upstream, taskId) =>
      typeof taskId === 'string' ? runs.get(run)?.get(keyOf(upstream, taskId)) : undefined,
    upstreams: (run) => [...new Set([...(runs.get(run)?.values() ?? [])].map((task) => task.upstream))],
    end(run) {
      runs.delete(run);
    },
  };
}

function keyOf(upstream: UpstreamName, taskId: string): string {
  return `${upstream} ${taskId}`;
}

/**
 * The task that a result announces. A legacy server makes one only when it is asked to, so that a result with a
 * member of that name is not taken for one.
 */
export function taskMadeBy(request: JsonRpcMessage, { result }: JsonRpcMessage): string | undefined {
  const { method, params } = request;
  if (!isJsonObject(result) || (typeof method === 'string' && method.startsWith('tasks/'))) return undefined;
  const isAskedFor = isJsonObject(params) && isJsonObject(params['task']);
  const legacy = isAskedFor && isJsonObject(result['task']) ? result['task']['taskId'] : undefined;
  const taskId = result['resultType'] === 'task' ? result['taskId'] : legacy;
  return typeof taskId === 'string' && taskId.length <= MAX_TASK_ID ? taskId : undefined;
}

/** The tasks that a request is about; undefined when it is about none. Values that are no ids are in it, too. */
export function tasksAskedFor(target: Target): readonly unknown[] | undefined {
  if (target.kind !== 'method') return undefined;
  switch (target.method) {
    case 'tasks/get':
    case 'tasks/result':
    case 'tasks/cancel':
    case 'tasks/update':
      return [target.params['taskId']];
    case 'subscriptions/listen':
      return tasksListenedTo(target.params);
    default:
      return undefined;
  }
}

/** A server that ignores case must not see other tasks than we do. */
function tasksListenedTo({ notifications }: JsonObject): readonly unknown[] | undefined {
  if (!isJsonObject(notifications)) return undefined;
  const named = Object.entries(notifications).filter(([key]) => key.toLowerCase() === 'taskids');
  if (named.length === 0) return undefined;
  const [key, taskIds] = named[0] ?? [];
  return named.length === 1 && key === 'taskIds' && Array.isArray(taskIds) ? taskIds : [undefined];
}

/** The task that a notification is about, for both eras; undefined when it is about none. */
export function taskNotified({ method, params }: JsonRpcMessage): { readonly taskId: unknown } | undefined {
  if (method !== 'notifications/tasks/status' && method !== 'notifications/tasks') return undefined;
  return { taskId: isJsonObject(params) ? params['taskId'] : undefined };
}
