import { setTimeout as sleep } from 'node:timers/promises';
import type { AgentRun } from '../../src/client/index.ts';
import { LEGACY_HEADERS, messagesIn, post, type RpcAnswer } from '../support/mcp-post.ts';
import type { Seeded } from '../support/seeded.ts';

/** What a fleet of agents did, and what it got that it should not have. */
export type Report = {
  calls: number;
  answers: number;
  cancelled: number;
  cut: number;
  sessions: number;
  /** Messages that came to a run that they were not for. */
  readonly strays: string[];
};

export const emptyReport = (): Report => ({
  calls: 0,
  answers: 0,
  cancelled: 0,
  cut: 0,
  sessions: 0,
  strays: [],
});

type Deed = (agent: Agent) => Promise<void>;
type Agent = {
  readonly run: AgentRun;
  readonly random: Seeded;
  readonly report: Report;
  session: string | undefined;
  deeds: number;
};

const UPSTREAM = 'echo';
/** Few, so that they collide all the time. */
const IDS = [1, 2, 'same'] as const;

/** Does things to the gateway that agents do: calls, leaves, cancels, comes back, in an order the seed decides. */
export async function behaveErratically(
  run: AgentRun,
  random: Seeded,
  report: Report,
  deeds: number,
): Promise<void> {
  const agent: Agent = { run, random, report, session: undefined, deeds: 0 };
  for (let i = 0; i < deeds; i++) await random.pick(DEEDS)(agent);
  if (random.next() < 0.5 && agent.session !== undefined) await leave(agent); // the others leave it to the gateway
}

const ask: Deed = async (agent) => {
  const { nonce, message } = call(agent, agent.random.pick(['json', 'stream']));
  const messages = await messagesIn(await send(agent, message));
  check(agent, messages, nonce);
  const answer = messages.find(({ result }) => result !== undefined);
  if (answer?.id === message.id) agent.report.answers++;
  else agent.report.strays.push(`no answer to ${nonce}: ${JSON.stringify(messages)}`);
};

const askTwice: Deed = async (agent) => {
  await Promise.all([ask(agent), ask(agent)]);
};

/** Closes the connection while the answer is on its way. */
const breakOff: Deed = async (agent) => {
  const leaving = new AbortController();
  const { nonce, message } = call(agent, agent.random.pick(['hang', 'stream', 'json']));
  const heard = send(agent, message, leaving.signal)
    .then(async (response) => check(agent, await messagesIn(response), nonce))
    .catch(() => undefined);
  await sleep(agent.random.below(30));
  leaving.abort();
  await heard;
  agent.report.cut++;
};

/** Tells the server to stop, and waits for the stream to end. */
const cancel: Deed = async (agent) => {
  const { nonce, message } = call(agent, 'hang');
  const response = await send(agent, message);
  const params = { requestId: message.id, reason: 'changed its mind' };
  await (await send(agent, { jsonrpc: '2.0', method: 'notifications/cancelled', params })).text();
  check(agent, await messagesIn(response), nonce);
  agent.report.cancelled++;
};

/** Opens a session anew, as a client does that was restarted. */
const reconnect: Deed = async (agent) => {
  agent.session = undefined;
  const response = await send(agent, { jsonrpc: '2.0', id: 1, method: 'initialize', params: {} });
  agent.session = response.headers.get('mcp-session-id') ?? undefined;
  await response.text();
  agent.report.sessions++;
};

const listen: Deed = async (agent) => {
  if (agent.session === undefined) await reconnect(agent);
  const leaving = new AbortController();
  const headers = { ...LEGACY_HEADERS, 'mcp-session-id': agent.session ?? '' };
  const url = agent.run.mcpUrl(UPSTREAM);
  const response = await agent.run.fetch(url, { headers, signal: leaving.signal });
  const reader = response.body?.getReader();
  const first = await reader?.read();
  for (const [, data] of Buffer.from(first?.value ?? [])
    .toString()
    .matchAll(/^data: (.+)$/gm)) {
    check(agent, [JSON.parse(data ?? '') as RpcAnswer], 'news');
  }
  leaving.abort();
  agent.report.cut++;
};

const leave: Deed = async (agent) => {
  const headers = { ...LEGACY_HEADERS, 'mcp-session-id': agent.session ?? '' };
  const response = await agent.run.fetch(agent.run.mcpUrl(UPSTREAM), { method: 'DELETE', headers });
  await response.text();
  agent.session = undefined;
};

const DEEDS = [ask, ask, askTwice, breakOff, cancel, reconnect, listen] as const;

function call({ run, random, report, deeds }: Agent, mode: 'json' | 'stream' | 'hang') {
  report.calls++;
  const nonce = `${run.id}/${deeds}/${random.below(2 ** 31)}`;
  const params = { name: 'say', arguments: { nonce, mode, delay: random.below(15) } };
  return { nonce, message: { jsonrpc: '2.0', id: random.pick(IDS), method: 'tools/call', params } };
}

function send({ run, session }: Agent, message: object, signal?: AbortSignal): Promise<Response> {
  const headers = session === undefined ? {} : { 'mcp-session-id': session };
  return post(run, message, { upstream: UPSTREAM, headers, ...(signal === undefined ? {} : { signal }) });
}

/** Whatever names a caller or a nonce must name this run and this call. */
function check({ run, report }: Agent, messages: readonly RpcAnswer[], nonce: string): void {
  for (const message of messages) {
    const text = JSON.stringify(message).replaceAll('\\', '');
    for (const [, caller] of text.matchAll(/"caller":"([^"]*)"/g)) {
      if (caller?.endsWith(`/run/${run.id}`) !== true)
        report.strays.push(`${run.id} got what was for ${caller}`);
    }
    for (const [, other] of text.matchAll(/"nonce":"([^"]*)"/g)) {
      if (other !== nonce) report.strays.push(`${nonce} got ${other}`);
    }
  }
}
