import { createMCPClient, type MCPClient } from '@ai-sdk/mcp';
import { isStepCount, jsonSchema, ToolLoopAgent, type ToolSet, tool } from 'ai';
import { type AgentRun, startRun } from 'sallyport/client';
import { callId, createScriptedModel } from './scripted-model.ts';
import {
  AFTER_THE_END,
  BOOKKEEPER,
  BOOKKEEPER_INTENT,
  BOOKKEEPER_SCRIPT,
  DESK_INTENT,
  deskScript,
  type Script,
  type ScriptedCall,
  type Verdict,
} from './story.ts';
import { type Reading, readError, readResult } from './verdict.ts';

/** One call of the story as it went. */
export type StoryStep = {
  readonly name: string;
  /** Which run made it. */
  readonly run: string;
  /** `"<upstream>/<tool>"`. */
  readonly target: string;
  readonly expected: Verdict;
  readonly actual: Verdict;
  readonly detail: string;
  /** Id of the call in the gateway's log, when the answer named it. */
  readonly call?: string;
  readonly milliseconds: number;
};

export type StoryResult = {
  readonly run: string;
  readonly subAgentRun: string | undefined;
  readonly steps: readonly StoryStep[];
  /** The model's last words. */
  readonly summary: string;
  /** Every step of the story took place and came out as it must. */
  readonly ok: boolean;
};

export type OpsDeskAgentOptions = {
  /** Base URL of the gateway's agent plane. */
  readonly gateway: string;
  readonly joinToken: string;
  /** Folder that the `files` upstream serves. */
  readonly scratch: string;
  /** Called after each step, in order. */
  readonly onStep?: (step: StoryStep) => void;
};

/** Plays the story through a running gateway. Throws only when it cannot even begin. */
export async function runOpsDeskAgent(options: OpsDeskAgentOptions): Promise<StoryResult> {
  const { gateway, joinToken, scratch } = options;
  const steps: StoryStep[] = [];
  const note = (step: StoryStep): void => {
    steps.push(step);
    options.onStep?.(step);
  };
  await using run = await startRun({ gateway, assertion: joinToken, intent: DESK_INTENT });
  const [desk, files, everything] = await Promise.all(
    ['ops-desk', 'files', 'everything'].map((upstream) => connect(run, upstream)),
  );
  if (!desk || !files || !everything) throw new TypeError('three upstreams are needed');

  const definitions = await desk.listTools();
  let subAgentRun: string | undefined;
  const askBookkeeper = async (): Promise<string> => {
    const grant = await run.delegate(BOOKKEEPER_INTENT);
    await using child = await startRun({ gateway, assertion: grant, intent: BOOKKEEPER_INTENT });
    subAgentRun = child.id;
    const client = await connect(child, 'ops-desk');
    // The sub-agent is told of every tool its parent knows: what holds it back is its grant, not its list.
    const answer = await play(BOOKKEEPER_SCRIPT, client.toolsFromDefinitions(definitions), child, note);
    await client.close();
    return answer;
  };
  const tools: ToolSet = {
    ...desk.toolsFromDefinitions(definitions),
    ...(await files.tools()),
    ...(await everything.tools()),
    [BOOKKEEPER]: tool({
      description: 'Asks the bookkeeper, a sub-agent that may only look things up.',
      inputSchema: jsonSchema<{ invoice: string }>({
        type: 'object',
        properties: { invoice: { type: 'string' } },
      }),
      execute: askBookkeeper,
    }),
  };
  const summary = await play(deskScript(scratch), tools, run, note);
  await Promise.all([files.close(), everything.close()]);
  await run.end();
  await callOnceMore(desk, run, note);
  return { run: run.id, subAgentRun, steps, summary, ok: isComplete(steps, scratch) };
}

function connect(run: AgentRun, upstream: string): Promise<MCPClient> {
  return createMCPClient({ transport: { type: 'http', url: run.mcpUrl(upstream), fetch: run.fetch } });
}

/** Lets a model play its part in the AI SDK's agent loop and notes what becomes of each call. */
async function play(
  script: Script,
  tools: ToolSet,
  run: AgentRun,
  note: (step: StoryStep) => void,
): Promise<string> {
  const readings = new Map<string, Reading & { readonly milliseconds: number }>();
  const agent = new ToolLoopAgent({
    model: createScriptedModel(script),
    tools,
    stopWhen: isStepCount(script.calls.length + 1),
    onToolExecutionEnd: ({ toolCall, toolOutput, toolExecutionMs }) => {
      const reading =
        toolOutput.type === 'tool-result' ? readResult(toolOutput.output) : readError(toolOutput.error);
      readings.set(toolCall.toolCallId, { ...reading, milliseconds: toolExecutionMs });
    },
    onStepEnd: ({ stepNumber }) => {
      const scripted = script.calls[stepNumber];
      if (scripted === undefined) return; // its last words
      note(toStep(scripted, run, readings.get(callId(stepNumber))));
    },
  });
  const { text } = await agent.generate({ prompt: 'Please do your task.' });
  return text;
}

async function callOnceMore(
  client: MCPClient,
  run: AgentRun,
  note: (step: StoryStep) => void,
): Promise<void> {
  const started = performance.now();
  const reading = await client.callTool({ name: AFTER_THE_END.tool }).then(readResult, readError);
  note(toStep(AFTER_THE_END, run, { ...reading, milliseconds: performance.now() - started }));
  await client.close();
}

function toStep(
  { name, upstream, tool, expected }: ScriptedCall,
  run: AgentRun,
  reading: (Reading & { readonly milliseconds: number }) | undefined,
): StoryStep {
  const { verdict, ...rest } = reading ?? {
    verdict: 'not_sent',
    detail: 'the tool is not there',
    milliseconds: 0,
  };
  return { name, run: run.id, target: `${upstream}/${tool}`, expected, actual: verdict, ...rest };
}

/** A story that lost a step is not a story that went well. */
function isComplete(steps: readonly StoryStep[], scratch: string): boolean {
  const planned = [...deskScript(scratch).calls, ...BOOKKEEPER_SCRIPT.calls, AFTER_THE_END];
  return (
    planned.every(({ name }) => steps.some((step) => step.name === name)) &&
    steps.every(({ expected, actual }) => expected === actual)
  );
}
