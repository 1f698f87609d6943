import {
  acceptedContent,
  type CallToolResult,
  CLIENT_CAPABILITIES_META_KEY,
  type ClientCapabilities,
  type InputRequests,
  inputRequired,
  inputResponse,
  type McpServer,
  type RequestStateCodec,
  type ServerContext,
} from '@modelcontextprotocol/server';
import { z } from 'zod';
import { text } from './content.ts';

const none = z.object({});
const Name = z.object({ name: z.string() });
const Color = z.object({ color: z.string() });
const Confirmation = z.object({ ok: z.boolean() });

/** What the tools keep in `requestState` between rounds. */
export type RoundState = { readonly tool: string; readonly round: number; readonly name?: string };

const CAPITAL = inputRequired.createMessage({
  messages: [{ role: 'user', content: { type: 'text', text: 'What is the capital of France?' } }],
  maxTokens: 100,
});

/** Tools that answer with a question and are called again with its answer, as servers do from 2026-07-28 on. */
export function addInputRequiredTools(server: McpServer, states: RequestStateCodec<RoundState>): void {
  const add = (
    name: string,
    description: string,
    act: (context: ServerContext) => ReturnType<typeof inputRequired> | Promise<Answer> | CallToolResult,
  ) => server.registerTool(name, { description, inputSchema: none }, (_, context) => act(context));

  add('test_input_required_result_elicitation', 'Asks for a name', askName);
  add('test_input_required_result_sampling', 'Asks a model', askModel);
  add('test_input_required_result_list_roots', 'Asks for roots', askRoots);
  add('test_input_required_result_multiple_inputs', 'Asks three things at once', (context) =>
    askThreeThings(context, states),
  );
  add('test_input_required_result_multi_round', 'Asks twice', (context) => askTwice(context, states));
  for (const name of [
    'test_input_required_result_request_state',
    'test_input_required_result_tampered_state',
  ]) {
    add(name, 'Keeps signed state between rounds', (context) => confirmWithState(name, context, states));
  }
  add('test_input_required_result_capabilities', 'Asks only what the client can answer', askWhatIsPossible);
  add('test_missing_capability', 'Needs sampling', () =>
    inputRequired({ inputRequests: { capital: CAPITAL } }),
  );
  add('test_streaming_elicitation', 'Reports progress, then asks', async (context) => {
    await context.mcpReq.log('info', 'about to ask');
    return askName(context);
  });
}

type Answer = CallToolResult | ReturnType<typeof inputRequired>;

function askName({ mcpReq }: ServerContext): Answer {
  const answer = acceptedContent(mcpReq.inputResponses, 'user_name', Name);
  if (answer !== undefined) return say(`Hello, ${answer.name}!`);
  return inputRequired({ inputRequests: { user_name: form('What is your name?', Name) } });
}

function askModel({ mcpReq }: ServerContext): Answer {
  const answer = inputResponse(mcpReq.inputResponses, 'capital_question');
  if (answer.kind !== 'sampling') return inputRequired({ inputRequests: { capital_question: CAPITAL } });
  return say(`The model says: ${JSON.stringify(answer.result.content)}`);
}

function askRoots({ mcpReq }: ServerContext): Answer {
  const answer = inputResponse(mcpReq.inputResponses, 'client_roots');
  if (answer.kind === 'roots') return say(`Roots: ${answer.roots.map(({ uri }) => uri).join(', ')}`);
  return inputRequired({ inputRequests: { client_roots: inputRequired.listRoots() } });
}

async function askThreeThings(
  { mcpReq }: ServerContext,
  states: RequestStateCodec<RoundState>,
): Promise<Answer> {
  const name = acceptedContent(mcpReq.inputResponses, 'user_name', Name);
  const greeting = inputResponse(mcpReq.inputResponses, 'greeting');
  const roots = inputResponse(mcpReq.inputResponses, 'client_roots');
  if (name !== undefined && greeting.kind === 'sampling' && roots.kind === 'roots') {
    return say(`${name.name}, ${JSON.stringify(greeting.result.content)}, ${roots.roots.length} roots`);
  }
  return inputRequired({
    inputRequests: {
      user_name: form('What is your name?', Name),
      greeting: inputRequired.createMessage({
        messages: [{ role: 'user', content: { type: 'text', text: 'Generate a greeting' } }],
        maxTokens: 50,
      }),
      client_roots: inputRequired.listRoots(),
    },
    requestState: await states.mint({ tool: 'multiple_inputs', round: 1 }),
  });
}

async function askTwice({ mcpReq }: ServerContext, states: RequestStateCodec<RoundState>): Promise<Answer> {
  const state = mcpReq.requestState<RoundState>();
  const name = acceptedContent(mcpReq.inputResponses, 'step1', Name)?.name;
  const color = acceptedContent(mcpReq.inputResponses, 'step2', Color)?.color;
  if (state?.round === 2 && color !== undefined) return say(`${state.name} likes ${color}`);
  if (state?.round === 1 && name !== undefined) {
    return inputRequired({
      inputRequests: { step2: form('Step 2: What is your favorite color?', Color) },
      requestState: await states.mint({ tool: 'multi_round', round: 2, name }),
    });
  }
  return inputRequired({
    inputRequests: { step1: form('Step 1: What is your name?', Name) },
    requestState: await states.mint({ tool: 'multi_round', round: 1 }),
  });
}

async function confirmWithState(
  tool: string,
  { mcpReq }: ServerContext,
  states: RequestStateCodec<RoundState>,
): Promise<Answer> {
  const answer = acceptedContent(mcpReq.inputResponses, 'confirm', Confirmation);
  if (answer !== undefined && mcpReq.requestState<RoundState>()?.tool === tool) return say('state-ok');
  return inputRequired({
    inputRequests: { confirm: form('Please confirm', Confirmation) },
    requestState: await states.mint({ tool, round: 1 }),
  });
}

function askWhatIsPossible({ mcpReq }: ServerContext): Answer {
  const envelope = mcpReq.envelope as Readonly<Record<string, ClientCapabilities | undefined>> | undefined;
  const capabilities = envelope?.[CLIENT_CAPABILITIES_META_KEY];
  const inputRequests: InputRequests = {};
  if (capabilities?.elicitation !== undefined) inputRequests['user_name'] = form('What is your name?', Name);
  if (capabilities?.sampling !== undefined) inputRequests['capital'] = CAPITAL;
  if (capabilities?.roots !== undefined) inputRequests['client_roots'] = inputRequired.listRoots();
  if (mcpReq.inputResponses !== undefined || Object.keys(inputRequests).length === 0) return say('done');
  return inputRequired({ inputRequests });
}

function form(message: string, requestedSchema: typeof Name | typeof Color | typeof Confirmation) {
  return inputRequired.elicit({ mode: 'form', message, requestedSchema });
}

function say(value: string): CallToolResult {
  return { content: [text(value)] };
}
