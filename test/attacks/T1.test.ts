import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AgentRun } from '../../src/client/index.ts';
import { changingUpstream } from '../support/changing-server.ts';
import { answerIn, LEGACY_HEADERS, modern, type RpcAnswer } from '../support/mcp-post.ts';
import { type Lab, openLab } from '../support/open-lab.ts';
import { openRawSession } from '../support/raw-session.ts';
import { startTalkingServer, type TalkingServer } from '../support/talking-server.ts';

let stack: AsyncDisposableStack;
let lab: Lab;
let desk: TalkingServer;
let victim: AgentRun;
let thief: AgentRun;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  desk = stack.use(await startTalkingServer('desk'));
  lab = stack.use(await openLab({ upstreams: [changingUpstream(desk, 'desk')] }));
  victim = stack.use(await lab.startRun());
  thief = stack.use(await lab.startRun());
});
afterAll(() => stack.disposeAsync());

type Ask = (run: AgentRun, method: string, params: Record<string, unknown>) => Promise<RpcAnswer>;

const legacy =
  (path: string): Ask =>
  async (run, method, params) => {
    const session = await openRawSession(run, `${lab.publicUrl}/mcp${path}`);
    return session.ask(method, params);
  };

const stateless =
  (path: string): Ask =>
  async (run, method, params) => {
    const { message, headers } = modern(method, params);
    const { taskId } = params;
    const name = typeof taskId === 'string' ? { 'mcp-name': taskId } : {};
    const response = await run.fetch(`${lab.publicUrl}/mcp${path}`, {
      method: 'POST',
      headers: { ...LEGACY_HEADERS, ...headers, ...name },
      body: JSON.stringify(message),
    });
    return answerIn(response);
  };

const ROUTES: readonly (readonly [string, Ask, string, string])[] = [
  ['directly, before 2026-07-28', legacy('/desk'), '', ''],
  ['directly, since 2026-07-28', stateless('/desk'), '', ''],
  ['at the aggregate endpoint, before 2026-07-28', legacy(''), 'desk+', 'desk__'],
  ['at the aggregate endpoint, since 2026-07-28', stateless(''), 'desk+', 'desk__'],
];

describe.each(ROUTES)('T1: the id of a task, %s', (route, ask, prefix, toolPrefix) => {
  const id = `task of ${route}`;
  const taskId = `${prefix}${id}`;
  const make = (run: AgentRun, its: string): Promise<RpcAnswer> =>
    ask(run, 'tools/call', { name: `${toolPrefix}job`, arguments: { id: its }, task: {} });

  it('opens the task for the run that made it', async () => {
    await make(victim, id);
    desk.finish(id, 'a secret result');
    expect(JSON.stringify(await ask(victim, 'tasks/get', { taskId }))).toContain(id);
  });

  it.each(['tasks/get', 'tasks/result', 'tasks/cancel', 'tasks/update'])(
    'opens nothing for another run that knows it: %s',
    async (method) => {
      const before = desk.heard.length;
      const answer = await ask(thief, method, { taskId });
      const isRemoved = method === 'tasks/result' && route.includes('since 2026-07-28');
      const refusal = { code: -32602, message: 'the run has no such task' };
      expect(answer.error).toMatchObject(isRemoved ? { code: -32601 } : refusal);
      expect(JSON.stringify(answer)).not.toContain('secret');
      const asked = desk.heard.slice(before).map(({ message }) => message['method']);
      expect(asked).not.toContain(method);
    },
  );

  it('reads the same as one that never was', async () => {
    const [stolen, guessed] = [
      await ask(thief, 'tasks/get', { taskId }),
      await ask(thief, 'tasks/get', { taskId: `${prefix}never` }),
    ];
    expect({ ...stolen.error, data: '' }).toEqual({ ...guessed.error, data: '' });
  });

  it.each([
    ['in another case', (name: string) => ({ taskid: name })],
    ['as something else than text', () => ({ taskId: ['x'] })],
    ['as a list with it', (name: string) => ({ taskId: [name] })],
    ['twice, in two cases', (name: string) => ({ taskId: 'x', TaskId: name })],
    ['not at all', () => ({})],
  ])('opens nothing when it is given %s', async (_, params) => {
    const before = desk.heard.length;
    const answer = await ask(thief, 'tasks/get', params(taskId)).catch((error: unknown) => ({ error }));
    expect(answer.error).toBeDefined();
    expect(desk.heard.slice(before).some(({ message }) => message['method'] === 'tasks/get')).toBe(false);
  });

  it('is in no list of another run', async () => {
    const { result } = await ask(thief, 'tasks/list', {});
    expect(JSON.stringify(result ?? {})).not.toContain(id);
  });

  it('opens nothing once its run is over, for whoever comes after', async () => {
    const short = await lab.startRun();
    await make(short, `${id}, short`);
    await short.end();
    await using next = await lab.startRun();
    const answer = await ask(next, 'tasks/get', { taskId: `${taskId}, short` });
    expect(answer.error).toMatchObject({ code: -32602 });
  });
});

describe('T1: a subscription to tasks', () => {
  it.each([
    ['of another run', { taskIds: ['task of another'] }],
    ['under a name that a careless server reads', { taskids: ['task of another'] }],
    ['under two names', { taskIds: [], TASKIDS: ['task of another'] }],
    ['with something that is no list', { taskIds: 'task of another' }],
  ])('is refused before it leaves: %s', async (_, notifications) => {
    const before = desk.heard.length;
    const answer = await stateless('/desk')(thief, 'subscriptions/listen', { notifications });
    expect(answer.error).toBeDefined();
    expect(desk.heard.length).toBe(before);
  });
});
