import { randomUUID } from 'node:crypto';
import { isJsonObject, type JsonObject, type JsonValue } from '../../base/index.ts';
import type { Sending } from './http-request.ts';
import {
  isModernRevision,
  isRpcId,
  LEGACY_REVISION,
  META,
  MODERN_REVISION,
  RPC_ERROR,
  rpcError,
} from './protocol.ts';
import { notMcp } from './read-message.ts';
import {
  type Answer,
  type JsonRpcMessage,
  type Spoken,
  type ToolDefinition,
  type UpstreamDescription,
  UpstreamError,
} from './upstream.ts';

/** Sends one message of the gateway's own to the server that is described. */
export type DescribeSend = (sending: Omit<Sending, 'signal' | 'authorization'>) => Promise<Answer>;

const MAX_PAGES = 100;
const MAX_TOOLS = 10_000;

/** Some servers offer tools only to clients that can do these. */
const CAPABILITIES: JsonObject = {
  roots: { listChanged: true },
  sampling: {},
  elicitation: { form: {}, url: {} },
};
const CLIENT_INFO: JsonObject = { name: 'sallyport', version: '0.1.0' };

/** How the gateway talks to the server after they have met. */
type Conversation = {
  readonly revision: string;
  readonly session?: string;
  readonly hasTools: boolean;
  readonly hasPrompts: boolean;
  readonly about: Omit<UpstreamDescription, 'tools' | 'prompts' | 'spoken'>;
  readonly spoken: Spoken;
};

/**
 * Asks a server of either era what it offers: `initialize` first, `server/discover` where that is refused, then
 * all pages of `tools/list` and `prompts/list`. Bounded by 100 pages, 10,000 entries and the signal. Definitions come
 * back with every field the server gave; two of one name are refused. Throws `UpstreamError`.
 */
export async function describeServer(send: DescribeSend, signal: AbortSignal): Promise<UpstreamDescription> {
  try {
    const greeted = await greetLegacy(send);
    const talk = 'spoken' in greeted ? greeted : await greetModern(send, MODERN_REVISION);
    const isRefused = 'refused' in greeted && greeted.refused;
    const spoken: Spoken = isRefused ? { ...talk.spoken, legacy: false } : talk.spoken;
    try {
      const tools = talk.hasTools ? await listAll(send, talk, 'tools') : [];
      const prompts = talk.hasPrompts ? await listPrompts(send, talk) : [];
      return { tools, prompts, ...talk.about, spoken };
    } finally {
      await sayGoodbye(send, talk);
    }
  } catch (error) {
    if (signal.aborted)
      throw new UpstreamError({ reason: 'timeout', detail: 'describing took too long' }, { cause: error });
    throw error;
  }
}

/**
 * The modern revision of a server that is known to speak the legacy era; false when it refuses in so many words.
 * Throws `UpstreamError` when its answer proves neither.
 */
export async function discoverModern(send: DescribeSend, signal: AbortSignal): Promise<string | false> {
  try {
    return (await greetModern(send, MODERN_REVISION)).revision;
  } catch (error) {
    if (signal.aborted)
      throw new UpstreamError(
        { reason: 'timeout', detail: 'server/discover was not answered' },
        { cause: error },
      );
    if (error instanceof UpstreamError && error.failure.reason === 'not_mcp') return false;
    throw error;
  }
}

/** `refused`: whether the answer says that the server does not speak the era. */
async function greetLegacy(send: DescribeSend): Promise<Conversation | { readonly refused: boolean }> {
  const params = { protocolVersion: LEGACY_REVISION, capabilities: CAPABILITIES, clientInfo: CLIENT_INFO };
  const message = { jsonrpc: '2.0', id: randomUUID(), method: 'initialize', params };
  const { response, session, status } = await request(send, message, {}).catch(notSpokenHere);
  const result = response?.['result'];
  if (!isJsonObject(result)) return { refused: isEvidence(status) };
  const { protocolVersion: revision, capabilities, serverInfo } = result;
  if (typeof revision !== 'string' || isModernRevision(revision))
    throw notMcp('the server chose no legacy revision');
  const talk = {
    revision,
    ...(session === undefined ? {} : { session }),
    hasTools: offers(capabilities, 'tools'),
    hasPrompts: offers(capabilities, 'prompts'),
    about: aboutServer(result, serverInfo),
    spoken: { legacy: revision },
  };
  const initialized = { jsonrpc: '2.0', method: 'notifications/initialized' };
  await send({ method: 'POST', message: initialized, ...addressOf(talk) });
  return talk;
}

/** Before 2026-07-28 a server may answer what it does not know in any way; only a failed connection counts. */
function notSpokenHere(error: unknown): { response?: undefined; session?: undefined; status: number } {
  if (error instanceof UpstreamError && error.failure.reason === 'not_mcp') return { status: 400 };
  throw error;
}

/** A server in trouble may refuse anything: what it says then is about its trouble. */
function isEvidence(status: number): boolean {
  return status < 500;
}

async function greetModern(send: DescribeSend, revision: string): Promise<Conversation> {
  const talk = { revision, hasTools: false, hasPrompts: false, about: {}, spoken: {} };
  const { response, status } = await ask(send, talk, 'server/discover', {});
  const { result, error } = response;
  if (isJsonObject(result)) {
    const meta = result['_meta'];
    const serverInfo = isJsonObject(meta) ? meta[META.serverInfo] : undefined;
    return {
      revision,
      hasTools: offers(result['capabilities'], 'tools'),
      hasPrompts: offers(result['capabilities'], 'prompts'),
      about: aboutServer(result, serverInfo),
      spoken: { modern: revision },
    };
  }
  if (!isEvidence(status)) {
    throw new UpstreamError({ reason: 'broken_off', detail: `status ${status} to server/discover` });
  }
  const other = otherRevision(error);
  if (other !== undefined && revision === MODERN_REVISION) return greetModern(send, other);
  throw notMcp(`the server refuses both initialize and server/discover (${describeError(error)})`);
}

/** A modern revision that an unsupported-version error (-32022) offers instead of ours. */
function otherRevision(error: JsonValue | undefined): string | undefined {
  if (!isJsonObject(error) || error['code'] !== RPC_ERROR.unsupportedVersion) return undefined;
  const supported = isJsonObject(error['data']) ? error['data']['supported'] : undefined;
  if (!Array.isArray(supported)) return undefined;
  return supported.find((revision) => typeof revision === 'string' && isModernRevision(revision));
}

/** Some servers announce prompts and refuse to list them: none is reviewed then, and none can be asked for. */
async function listPrompts(send: DescribeSend, talk: Conversation): Promise<ToolDefinition[]> {
  return listAll(send, talk, 'prompts').catch((error: unknown) => {
    if (error instanceof UpstreamError && error.failure.reason === 'not_mcp') return [];
    throw error;
  });
}

async function listAll(
  send: DescribeSend,
  talk: Conversation,
  field: 'tools' | 'prompts',
): Promise<ToolDefinition[]> {
  const method = `${field}/list`;
  const tools = new Map<string, ToolDefinition>();
  const cursors = new Set<string>();
  let params: JsonObject = {};
  for (let page = 0; page < MAX_PAGES; page++) {
    const { response } = await ask(send, talk, method, params);
    const { result, error } = response;
    if (!isJsonObject(result)) throw notMcp(`${method} was refused (${describeError(error)})`);
    addDefinitions(tools, result[field], field);
    const { nextCursor } = result;
    if (nextCursor === undefined || nextCursor === null) return [...tools.values()];
    if (typeof nextCursor !== 'string' || cursors.has(nextCursor)) throw notMcp(`${method} repeats a cursor`);
    cursors.add(nextCursor);
    params = { cursor: nextCursor };
  }
  throw new UpstreamError({ reason: 'too_large', detail: `${method} has more than ${MAX_PAGES} pages` });
}

function addDefinitions(
  tools: Map<string, ToolDefinition>,
  page: JsonValue | undefined,
  field: 'tools' | 'prompts',
): void {
  const one = field === 'tools' ? 'tool' : 'prompt';
  if (!Array.isArray(page)) throw notMcp(`${field}/list has no list of ${field}`);
  for (const tool of page) {
    if (!isToolDefinition(tool)) throw notMcp(`${field}/list holds a ${one} without a name`);
    if (tools.has(tool.name))
      throw notMcp(`two ${field} are called ${JSON.stringify(tool.name.slice(0, 128))}`);
    // Through text once more: numbers that only a relay must keep become plain ones.
    tools.set(tool.name, JSON.parse(JSON.stringify(tool)));
  }
  if (tools.size > MAX_TOOLS) {
    throw new UpstreamError({
      reason: 'too_large',
      detail: `the server has more than ${MAX_TOOLS} ${field}`,
    });
  }
}

async function sayGoodbye(send: DescribeSend, talk: Conversation): Promise<void> {
  if (talk.session === undefined) return;
  // The server may know no DELETE, or have ended the session itself: either way it is over.
  await send({ method: 'DELETE', ...addressOf(talk) }).catch(() => undefined);
}

async function ask(send: DescribeSend, talk: Conversation, method: string, params: JsonObject) {
  const isModern = isModernRevision(talk.revision);
  const envelope = isModern ? { ...params, _meta: envelopeOf(talk.revision) } : params;
  const address = addressOf(talk);
  return request(
    send,
    { jsonrpc: '2.0', id: randomUUID(), method, params: envelope },
    {
      ...address,
      mcpHeaders: isModern ? { ...address.mcpHeaders, 'mcp-method': method } : address.mcpHeaders,
    },
  );
}

function envelopeOf(revision: string): JsonObject {
  return {
    [META.protocolVersion]: revision,
    [META.clientInfo]: CLIENT_INFO,
    [META.clientCapabilities]: CAPABILITIES,
  };
}

function addressOf({ revision, session }: Conversation): Pick<Sending, 'mcpHeaders' | 'session'> {
  const mcpHeaders = { 'mcp-protocol-version': revision };
  return session === undefined ? { mcpHeaders } : { mcpHeaders, session };
}

type Asked = { readonly response: JsonRpcMessage; readonly session?: string; readonly status: number };

async function request(
  send: DescribeSend,
  message: JsonRpcMessage,
  address: Partial<Pick<Sending, 'mcpHeaders' | 'session'>>,
): Promise<Asked> {
  const answer = await send({ method: 'POST', message, mcpHeaders: {}, ...address });
  const session = address.session ?? answer.session;
  const back = session === undefined ? address : { ...address, session };
  const response = await responseIn(answer, (reply) =>
    send({ method: 'POST', message: reply, mcpHeaders: {}, ...back }),
  );
  const { status } = answer;
  return session === undefined ? { response, status } : { response, session, status };
}

/** Waits for the response and declines what the server asks of us meanwhile. */
async function responseIn(
  { body }: Answer,
  reply: (message: JsonRpcMessage) => Promise<unknown>,
): Promise<JsonRpcMessage> {
  if (body.kind === 'message') return body.message;
  if (body.kind === 'none') throw notMcp('the answer is empty');
  for await (const { message } of body.events) {
    if (message === undefined) continue;
    if (message['method'] === undefined) return message;
    const { id } = message;
    if (isRpcId(id)) await reply(rpcError(id, RPC_ERROR.methodNotFound, 'nobody is here to answer'));
  }
  throw new UpstreamError({ reason: 'broken_off', detail: 'the stream ended before the response' });
}

function aboutServer(result: JsonObject, serverInfo: JsonValue | undefined): Conversation['about'] {
  const { instructions } = result;
  return {
    ...(typeof instructions === 'string' ? { instructions } : {}),
    ...(serverInfo === undefined ? {} : { serverInfo }),
  };
}

function offers(capabilities: JsonValue | undefined, what: 'tools' | 'prompts'): boolean {
  return isJsonObject(capabilities) && capabilities[what] !== undefined;
}

function isToolDefinition(tool: JsonValue): tool is ToolDefinition {
  return isJsonObject(tool) && typeof tool['name'] === 'string' && tool['name'] !== '';
}

function describeError(error: JsonValue | undefined): string {
  const code = isJsonObject(error) ? error['code'] : undefined;
  return typeof code === 'number' ? `code ${code}` : 'no result';
}
