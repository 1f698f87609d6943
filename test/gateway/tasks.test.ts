import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AgentRun } from '../../src/client/index.ts';
import { changingUpstream } from '../support/changing-server.ts';
import { answerIn, modern, post, type RpcAnswer } from '../support/mcp-post.ts';
import { type Lab, openLab } from '../support/open-lab.ts';
import { readRecords } from '../support/open-ops-gateway.ts';
import { openRawSession, type RawSession } from '../support/raw-session.ts';
import { startTalkingServer, type TalkingServer } from '../support/talking-server.ts';

let stack: AsyncDisposableStack;
let lab: Lab;
let desk: TalkingServer;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  desk = stack.use(await startTalkingServer('desk'));
  const tools = { job: { labels: ['untrusted'] } };
  const upstreams = [changingUpstream(desk, 'desk', { tools, labels: ['private'] })];
  lab = stack.use(await openLab({ upstreams }));
});
afterAll(() => stack.disposeAsync());

const direct = (): string => `${lab.publicUrl}/mcp/desk`;
const makeJob = (session: RawSession, id: string): Promise<RpcAnswer> =>
  session.ask('tools/call', { name: 'job', arguments: { id }, task: { ttl: 60_000 } });

async function modernAsk(run: AgentRun, method: string, params: Record<string, unknown>): Promise<RpcAnswer> {
  const { message, headers } = modern(method, params);
  const { taskId } = params;
  const name = typeof taskId === 'string' ? { 'mcp-name': taskId } : {};
  return answerIn(await post(run, message, { upstream: 'desk', headers: { ...headers, ...name } }));
}

describe('a task of the legacy era', () => {
  it('is looked at, listed, waited for and cancelled by the run that made it', async () => {
    await using run = await lab.startRun();
    const session = await openRawSession(run, direct());
    expect((await makeJob(session, 'mine')).result).toMatchObject({
      task: { taskId: 'mine', status: 'working' },
    });
    expect((await session.ask('tasks/get', { taskId: 'mine' })).result).toMatchObject({ taskId: 'mine' });
    const result = session.ask('tasks/result', { taskId: 'mine' });
    desk.finish('mine');
    expect((await result).result).toMatchObject({ content: [{ text: 'desk is done' }] });
    expect((await session.ask('tasks/list')).result).toMatchObject({ tasks: [{ taskId: 'mine' }] });
    await makeJob(session, 'spare');
    expect((await session.ask('tasks/cancel', { taskId: 'spare' })).result).toMatchObject({
      status: 'cancelled',
    });
  });

  it('brings its result with its labels, an outcome and a link to the call that made it', async () => {
    await using run = await lab.startRun();
    const session = await openRawSession(run, direct());
    await makeJob(session, 'linked');
    desk.finish('linked');
    await session.ask('tasks/result', { taskId: 'linked' }, 77);
    const records = readRecords(lab.data).filter((record) => 'run' in record && record.run === run.id);
    const made = records.find((record) => record.type === 'intent' && record.subject.tool === 'job');
    const got = records.find((record) => record.type === 'intent' && record.rpcId === 77);
    expect(made).toMatchObject({ labels: ['private', 'untrusted'] });
    expect(got).toMatchObject({
      subject: { method: 'tasks/result' },
      labels: ['private', 'untrusted'],
      continues: made !== undefined && 'call' in made ? made.call : '',
    });
    const outcome = records.find(
      (record) => record.type === 'outcome' && got?.type === 'intent' && record.call === got.call,
    );
    expect(outcome).toMatchObject({ status: 'ok', result: { bytes: expect.any(Number) } });
  });

  it('is announced to the run that made it and to no other', async () => {
    await using mine = await lab.startRun();
    await using theirs = await lab.startRun();
    const [session, other] = [await openRawSession(mine, direct()), await openRawSession(theirs, direct())];
    await makeJob(session, 'announced');
    const [stream, overheard] = [await session.listen(), await other.listen()];
    desk.say({ method: 'notifications/tasks/status', params: { taskId: 'announced', status: 'completed' } });
    desk.say({ method: 'notifications/resources/list_changed' });
    await stream.next(({ method }) => method === 'notifications/tasks/status');
    await overheard.next(({ method }) => method === 'notifications/resources/list_changed');
    expect(JSON.stringify(overheard.events)).not.toContain('announced');
    for (const open of [stream, overheard]) open.close();
  });
});

describe('a task of the modern era', () => {
  it('is looked at, updated and cancelled by the run that made it, and ends as its tool would', async () => {
    await using run = await lab.startRun();
    const made = await modernAsk(run, 'tools/call', { name: 'job', arguments: { id: 'm-1' } });
    expect(made.result).toMatchObject({ resultType: 'task', taskId: 'm-1' });
    expect((await modernAsk(run, 'tasks/get', { taskId: 'm-1' })).result).toMatchObject({
      status: 'working',
    });
    expect(
      (await modernAsk(run, 'tasks/update', { taskId: 'm-1', inputResponses: {} })).error,
    ).toBeUndefined();
    desk.tasks.set('m-1', { taskId: 'm-1', status: 'completed', result: { content: [], isError: true } });
    const done = await modernAsk(run, 'tasks/get', { taskId: 'm-1' });
    expect(done.result).toMatchObject({ status: 'completed', result: { isError: true } });
    const last = readRecords(lab.data).findLast(
      (record) => record.type === 'outcome' && record.run === run.id,
    );
    expect(last).toMatchObject({ status: 'tool_error' });
  });
});

describe('what a server calls a task', () => {
  it('is none where nobody asked for one, so that an echo of an id opens nothing', async () => {
    await using mine = await lab.startRun();
    await using theirs = await lab.startRun();
    await makeJob(await openRawSession(mine, direct()), 'secret-job');
    const session = await openRawSession(theirs, direct());
    // The same tool, called without asking for a task: its answer has a member of that name all the same.
    const echoed = await session.ask('tools/call', { name: 'job', arguments: { id: 'secret-job' } });
    expect(echoed.result).toMatchObject({ task: { taskId: 'secret-job' } });
    expect((await session.ask('tasks/get', { taskId: 'secret-job' })).error).toMatchObject({ code: -32602 });
  });
});
