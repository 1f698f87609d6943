import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openGateway } from '../../../src/cli/open-gateway.ts';
import { createLogger, openOperatorKey, parseConfig, signOperatorToken } from '../../../src/gateway/index.ts';
import { post, toolCall } from '../../support/mcp-post.ts';
import { type Lab, openLab } from '../../support/open-lab.ts';
import { readRecords } from '../../support/open-ops-gateway.ts';
import { asUpstream, startWitness, type Witness } from '../../support/witness.ts';

let witness: Witness;
let lab: Lab;
let agent: string;

beforeAll(async () => {
  witness = await startWitness();
  lab = await openLab({ upstreams: [asUpstream(witness)] });
  agent = (lab.config as { agents: { name: string }[] }).agents[0]?.name ?? '';
});
afterAll(async () => {
  await lab[Symbol.asyncDispose]();
  await witness[Symbol.asyncDispose]();
});

const change = (path: string, body: object = { reason: 'a test' }) =>
  lab.admin(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
const changes = () => readRecords(lab.data).filter((record) => record.type === 'agent.change');

const clerk = {
  name: 'clerk',
  owner: { kind: 'person', name: 'Robin', contact: 'robin@lab.example' },
  purposes: ['test'],
  tools: ['witness/echo'],
};
const attestation = [{ attestor: 'lab', claims: { sub: 'clerk' } }];

describe('the registry of agents', () => {
  it('gives a disabled agent nothing, ends its runs, and says so in the log with who and why', async () => {
    const run = await lab.startRun();
    const answer = await change(`/v1/agents/${agent}/disable`, { reason: 'it misbehaved' });
    expect(await answer.json()).toEqual({ agent, ended: [run.id] });
    expect((await post(run, toolCall('echo'))).status).toBe(401);
    await expect(lab.startRun()).rejects.toThrow('unauthorized_client');
    expect(changes().at(-1)).toMatchObject({
      agent,
      change: 'disable',
      by: 'operator',
      reason: 'it misbehaved',
    });
    const closed = readRecords(lab.data).findLast((record) => record.type === 'run.close');
    expect(closed).toMatchObject({ run: run.id, state: 'revoked', reason: 'agent disabled: it misbehaved' });
    expect((await change(`/v1/agents/${agent}/enable`)).status).toBe(200);
    await using again = await lab.startRun();
    expect((await post(again, toolCall('echo'))).status).toBe(200);
  });

  it('refuses a change without a reason, of an agent nobody knows, and of one that the file has', async () => {
    expect((await change(`/v1/agents/${agent}/disable`, {})).status).toBe(400);
    expect((await change('/v1/agents/nobody/disable')).status).toBe(404);
    expect((await change(`/v1/agents/${agent}/remove`)).status).toBe(409);
    expect(
      (await change('/v1/agents', { reason: 'x', entry: { agent: { ...clerk, name: agent } } })).status,
    ).toBe(409);
  });

  it.each([
    ['no owner', { ...clerk, owner: undefined }],
    ['an owner without contact', { ...clerk, owner: { ...clerk.owner, contact: ' ' } }],
    ['a tool of no upstream', { ...clerk, tools: ['nowhere/*'] }],
    ['a purpose that policies do not know', { ...clerk, purposes: ['other'] }],
    ['an environment that policies do not know', { ...clerk, environment: 'moon' }],
    ['the name of the gateway', { ...clerk, name: 'sallyport' }],
    ['a member nobody knows', { ...clerk, admin: true }],
  ])('registers no agent with %s', async (_what, entry) => {
    expect((await change('/v1/agents', { reason: 'new', entry: { agent: entry } })).status).toBe(400);
  });

  it('registers no agent that attests by a rule that is too lax', async () => {
    for (const lax of [
      [{ attestor: 'lab', claims: {} }],
      [{ attestor: 'lab', claims: { sub: '*' } }],
      [{ attestor: 'x', claims: { sub: 'y' } }],
    ]) {
      expect(
        (await change('/v1/agents', { reason: 'new', entry: { agent: clerk, attestation: lax } })).status,
      ).toBe(400);
    }
  });

  it('keeps what was changed over a restart, and ends runs of agents that are gone', async () => {
    expect(
      (await change('/v1/agents', { reason: 'new clerk', entry: { agent: clerk, attestation } })).status,
    ).toBe(200);
    expect(changes().at(-1)).toMatchObject({
      agent: 'clerk',
      change: 'register',
      entry: { agent: { name: 'clerk' } },
    });
    const run = await lab.startRun();
    expect((await change('/v1/agents/clerk/disable')).status).toBe(200);
    await lab.gateway[Symbol.asyncDispose]();
    const config = lab.config as { agents: object[] };
    const changed = { ...config, agents: config.agents.map((one) => ({ ...one, disabled: true })) };
    await using _restarted = await openGateway(parseConfig(changed, 'lab'), { log: createLogger('silent') });
    const { agents } = (await (await lab.admin('/v1/agents')).json()) as { agents: object[] };
    expect(agents).toMatchObject([
      { name: agent, disabled: true, from: 'config', liveRuns: 0 },
      { name: 'clerk', disabled: true, from: 'api', owner: clerk.owner },
    ]);
    const closed = readRecords(lab.data).find(
      (record) => record.type === 'run.close' && record.run === run.id,
    );
    expect(closed).toMatchObject({ by: 'gateway', state: 'revoked' });
    expect((await change(`/v1/agents/${agent}/enable`)).status).toBe(409);
    expect((await change('/v1/agents/clerk/remove')).status).toBe(200);
    expect((await change('/v1/agents/clerk/enable')).status).toBe(404);
  });
});

describe('an operator', () => {
  it('cannot use a token twice, nor can anyone who saw it', async () => {
    await using _gateway = await openGateway(parseConfig(lab.config, 'lab'), { log: createLogger('silent') });
    const token = await signOperatorToken(await openOperatorKey(lab.data), lab.adminUrl, Date.now);
    const ask = () => fetch(`${lab.adminUrl}/v1/status`, { headers: { authorization: `Bearer ${token}` } });
    expect([(await ask()).status, (await ask()).status]).toEqual([200, 401]);
  });

  it('can do what its roles permit and nothing else', async () => {
    const config = { ...lab.config, admin: { localKeyRoles: ['approver'] } };
    await using _gateway = await openGateway(parseConfig(config, 'lab'), { log: createLogger('silent') });
    expect((await lab.admin('/v1/status')).status).toBe(200);
    expect((await lab.admin('/v1/agents')).status).toBe(403);
    expect((await change(`/v1/agents/${agent}/disable`)).status).toBe(403);
    expect((await change('/v1/tools/review', { upstream: 'witness', tools: [] })).status).toBe(403);
    expect((await change('/v1/runs/01JAAAAAAAAAAAAAAAAAAAAAAA/revoke')).status).toBe(403);
  });

  it('does not exist by the local key when that has no roles', async () => {
    const config = { ...lab.config, admin: { localKeyRoles: [] } };
    await using _gateway = await openGateway(parseConfig(config, 'lab'), { log: createLogger('silent') });
    expect((await lab.admin('/v1/status')).status).toBe(401);
  });
});
