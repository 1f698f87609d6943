import { MockLanguageModelV4 } from 'ai/test';
import type { Script } from './story.ts';

type GenerateResult = Awaited<ReturnType<MockLanguageModelV4['doGenerate']>>;

const USAGE = {
  inputTokens: { total: 0, noCache: 0, cacheRead: 0, cacheWrite: 0 },
  outputTokens: { total: 0, text: 0, reasoning: 0 },
};

/** The AI SDK's mock language model with a fixed part: one call a turn, in order, whatever the tools answer. */
export function createScriptedModel(script: Script): MockLanguageModelV4 {
  const turns = script.calls.map(
    ({ says, tool, args }, index): GenerateResult => ({
      content: [
        { type: 'text', text: says },
        { type: 'tool-call', toolCallId: callId(index), toolName: tool, input: JSON.stringify(args) },
      ],
      finishReason: { unified: 'tool-calls', raw: undefined },
      usage: USAGE,
      warnings: [],
    }),
  );
  const end: GenerateResult = {
    content: [{ type: 'text', text: script.lastWords }],
    finishReason: { unified: 'stop', raw: undefined },
    usage: USAGE,
    warnings: [],
  };
  return new MockLanguageModelV4({ modelId: 'scripted', doGenerate: [...turns, end] });
}

/** Id of the call that the model makes in a turn. */
export function callId(turn: number): string {
  return `turn-${turn}`;
}
