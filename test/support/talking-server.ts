import type { IncomingMessage, ServerResponse } from 'node:http';
import { type HttpServer, serveHttp } from './serve-http.ts';

type Json = Record<string, unknown>;
type Heard = { readonly session: string | undefined; readonly message: Json };
type Session = { readonly id: string; readonly events: Json[]; stream?: ServerResponse };

/** A server of both eras that speaks when it likes and keeps the tasks of all its clients in one place. */
export type TalkingServer = HttpServer & {
  /** Everything it was sent, in order. */
  readonly heard: Heard[];
  /** Methods of everything it was sent but greetings. */
  readonly methods: () => readonly string[];
  readonly sessions: ReadonlyMap<string, Session>;
  /** Says something on the GET stream of each legacy session, or of one; kept for those who come back. */
  say(message: Json, session?: string): void;
  /** Says something to each subscriber of the modern era. */
  announce(message: Json): void;
  /** Breaks the GET streams without a word. */
  cut(): void;
  /** Ends the subscriptions of the modern era in order. */
  close(): void;
  readonly tasks: Map<string, Json>;
  finish(taskId: string, text?: string): void;
  /** How many GET streams and subscriptions are open. */
  readonly open: () => { readonly streams: number; readonly listeners: number };
  prompts: Json[];
  /** A method that it answers with an error. */
  refusing: string | undefined;
};

const TOOLS = ['look', 'job', 'ask', 'stall', 'talk'];
const text = (value: string): Json => ({ content: [{ type: 'text', text: value }] });

export async function startTalkingServer(name: string): Promise<TalkingServer> {
  const heard: Heard[] = [];
  const sessions = new Map<string, Session>();
  const listeners = new Map<ServerResponse, unknown>();
  const tasks = new Map<string, Json>();
  const questions = new Map<unknown, (answer: Json) => void>();
  const waiting = new Map<string, () => void>();
  const state = {
    prompts: [{ name: 'greet', description: 'says hello' }] as Json[],
    asked: 0,
    refusing: undefined as string | undefined,
  };

  const write = (response: ServerResponse, message: Json, id?: string): void => {
    const at = id === undefined ? '' : `id: ${id}\n`;
    response.write(`${at}data: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`);
  };
  const openStream = (response: ServerResponse): void => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.flushHeaders();
  };

  function onGet(request: IncomingMessage, response: ServerResponse): void {
    const session = sessions.get(String(request.headers['mcp-session-id']));
    if (session === undefined) return void response.writeHead(404).end();
    if (session.stream !== undefined) return void response.writeHead(409).end();
    const last = request.headers['last-event-id'];
    openStream(response);
    session.stream = response;
    response.once('close', () => {
      if (session.stream === response) delete session.stream;
    });
    const missed = last === undefined ? session.events.length : Number(String(last).split('~')[1]) + 1;
    for (let at = missed; at < session.events.length; at++)
      write(response, session.events[at] ?? {}, `${session.id}~${at}`);
  }

  function onMessage(request: IncomingMessage, response: ServerResponse, message: Json): void {
    const { id, method, result, error } = message;
    if (method === undefined) {
      questions.get(id)?.((result ?? error) as Json);
      questions.delete(id);
      return void response.writeHead(202).end();
    }
    if (id === undefined) return void response.writeHead(202).end();
    const isModern = request.headers['mcp-protocol-version'] === '2026-07-28';
    const session = request.headers['mcp-session-id'];
    const reply = (body: Json, headers = {}): void =>
      void response
        .writeHead(200, { 'content-type': 'application/json', ...headers })
        .end(JSON.stringify({ jsonrpc: '2.0', id, ...body }));
    if (method === 'initialize') return void greet(reply);
    if (!isModern && (typeof session !== 'string' || !sessions.has(session)))
      return void response.writeHead(404).end();
    if (method === 'subscriptions/listen') return void listen(message, response);
    if (method === state.refusing) return void reply({ error: { code: 7, message: 'words of an error' } });
    if (method === 'tools/call') return void onCall(message, response, reply, isModern);
    if (method === 'tasks/result') return void onTaskResult(message, reply);
    const answer = answerTo(String(method), (message['params'] ?? {}) as Json);
    reply(answer === undefined ? { error: { code: -32601, message: 'method not found' } } : answer);
  }

  function greet(reply: (body: Json, headers?: object) => void): void {
    const session = { id: `${name}-${sessions.size + 1}`, events: [] };
    sessions.set(session.id, session);
    const capabilities = { tools: {}, prompts: {}, resources: { subscribe: true }, logging: {}, tasks: {} };
    const serverInfo = { name, version: '1' };
    reply(
      { result: { protocolVersion: '2025-11-25', capabilities, serverInfo } },
      { 'mcp-session-id': session.id },
    );
  }

  function listen({ id, params }: Json, response: ServerResponse): void {
    openStream(response);
    const { notifications } = params as Json;
    const _meta = { 'io.modelcontextprotocol/subscriptionId': id };
    write(response, { method: 'notifications/subscriptions/acknowledged', params: { _meta, notifications } });
    listeners.set(response, id);
    response.once('close', () => listeners.delete(response));
  }

  function onCall(
    message: Json,
    response: ServerResponse,
    reply: (body: Json) => void,
    isModern: boolean,
  ): void {
    const params = message['params'] as Json;
    const { id } = message;
    switch (params['name']) {
      case 'look':
        return void reply({ result: text(`${name} looked`) });
      case 'job': {
        const taskId = `${(params['arguments'] as Json | undefined)?.['id'] ?? `task-${tasks.size + 1}`}`;
        const task = { taskId, status: 'working', createdAt: 'then', lastUpdatedAt: 'then', ttl: 60000 };
        tasks.set(taskId, task);
        return void reply({ result: isModern ? { resultType: 'task', ...task } : { task } });
      }
      case 'ask': {
        openStream(response);
        const question = ++state.asked;
        const requested = { message: `${name} asks`, requestedSchema: { type: 'object', properties: {} } };
        questions.set(question, (answer) => {
          write(response, { id, result: text(`${name} heard ${JSON.stringify(answer)}`) });
          response.end();
        });
        return void write(response, { id: question, method: 'elicitation/create', params: requested });
      }
      case 'talk': {
        openStream(response);
        for (const said of (params['arguments'] as { messages: Json[] }).messages) write(response, said);
        write(response, { id, result: text('talked') });
        return void response.end();
      }
      case 'stall':
        return void openStream(response);
      default:
        return void reply({ error: { code: -32602, message: 'no such tool' } });
    }
  }

  function onTaskResult({ params }: Json, reply: (body: Json) => void): void {
    const taskId = String((params as Json)['taskId']);
    const task = tasks.get(taskId);
    if (task === undefined) return void reply({ error: { code: -32602, message: `no task ${taskId}` } });
    const _meta = { 'io.modelcontextprotocol/related-task': { taskId } };
    const done = (): void => reply({ result: { ...(tasks.get(taskId)?.['result'] as Json), _meta } });
    if (task['status'] === 'completed') done();
    else waiting.set(taskId, done);
  }

  function answerTo(method: string, params: Json): { result: Json } | { error: Json } | undefined {
    const task = tasks.get(String(params['taskId']));
    switch (method) {
      case 'server/discover':
        return {
          result: { resultType: 'complete', supportedVersions: ['2026-07-28'], capabilities: { tools: {} } },
        };
      case 'tools/list':
        return { result: { tools: TOOLS.map((tool) => ({ name: tool, inputSchema: { type: 'object' } })) } };
      case 'prompts/list':
        return { result: { prompts: state.prompts } };
      case 'prompts/get':
        return {
          result: { messages: [{ role: 'user', content: { type: 'text', text: `${name} greets` } }] },
        };
      case 'resources/list':
        return { result: { resources: [{ uri: 'note:a', name: 'a' }] } };
      case 'resources/templates/list':
        return {
          result: {
            resourceTemplates: ['note:{id}', 'secret:{id}'].map((uriTemplate) => ({
              uriTemplate,
              name: 'n',
            })),
          },
        };
      case 'resources/read':
        return { result: { contents: [{ uri: params['uri'], text: `${name} content` }] } };
      case 'completion/complete':
        return { result: { completion: { values: [`${name} completes`] } } };
      case 'resources/subscribe':
      case 'resources/unsubscribe':
      case 'logging/setLevel':
      case 'ping':
        return { result: {} };
      case 'tasks/list':
        return { result: { tasks: [...tasks.values()] } };
      case 'tasks/get':
      case 'tasks/cancel':
      case 'tasks/update':
        if (task === undefined) return { error: { code: -32602, message: 'no such task' } };
        if (method === 'tasks/cancel') task['status'] = 'cancelled';
        return { result: { resultType: 'complete', ...task } };
      default:
        return undefined;
    }
  }

  const server = await serveHttp((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on('end', () => {
      const message = (body === '' ? { method: request.method } : JSON.parse(body)) as Json;
      const session = request.headers['mcp-session-id'];
      heard.push({ session: typeof session === 'string' ? session : undefined, message });
      if (request.method === 'GET') onGet(request, response);
      else if (request.method === 'POST') onMessage(request, response, message);
      else {
        sessions.delete(String(session));
        response.writeHead(200).end();
      }
    });
  });

  return Object.assign(state, server, {
    heard,
    sessions,
    tasks,
    methods: () =>
      heard
        .map(({ message }) => String(message['method'] ?? 'response'))
        .filter((method) => method !== 'initialize' && method !== 'notifications/initialized'),
    say(message: Json, session?: string) {
      for (const to of sessions.values()) {
        if (session !== undefined && to.id !== session) continue;
        to.events.push(message);
        if (to.stream !== undefined) write(to.stream, message, `${to.id}~${to.events.length - 1}`);
      }
    },
    announce(message: Json) {
      for (const [response, id] of listeners) {
        const params = (message['params'] ?? {}) as Json;
        const _meta = { 'io.modelcontextprotocol/subscriptionId': id };
        write(response, { ...message, params: { ...params, _meta } });
      }
    },
    cut() {
      for (const { stream } of sessions.values()) stream?.destroy();
    },
    close() {
      for (const [response, id] of listeners) {
        const _meta = { 'io.modelcontextprotocol/subscriptionId': id };
        write(response, { id, result: { resultType: 'complete', _meta } });
        response.end();
      }
    },
    finish(taskId: string, said = `${name} is done`) {
      const task = tasks.get(taskId);
      if (task === undefined) throw new Error(`no task ${taskId}`);
      Object.assign(task, { status: 'completed', result: text(said) });
      waiting.get(taskId)?.();
    },
    open() {
      const streams = [...sessions.values()].filter(({ stream }) => stream !== undefined).length;
      return { streams, listeners: listeners.size };
    },
  });
}
