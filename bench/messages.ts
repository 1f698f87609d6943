/** Revision of the Model Context Protocol that the benchmark speaks. */
export const PROTOCOL_VERSION = '2025-11-25';

/** How many tools the benchmark's upstream offers; calls go round all of them. */
export const TOOL_COUNT = 50;

const pad = (index: number) => String(index).padStart(2, '0');

/** Names of the upstream's tools, `tool_00` first. */
export const toolNames: readonly string[] = Array.from({ length: TOOL_COUNT }, (_, i) => `tool_${pad(i)}`);

/** A `tools/list` result with 50 tools. */
export const toolList = { tools: toolNames.map(toolDefinition) };

function toolDefinition(name: string) {
  return {
    name,
    description: `Searches the archive behind ${name} and returns the matching lines.`,
    inputSchema: {
      type: 'object',
      properties: {
        nonce: { type: 'string' },
        query: { type: 'string' },
        folder: { type: 'string' },
        limit: { type: 'integer', minimum: 1, maximum: 1000 },
        archived: { type: 'boolean' },
        note: { type: 'string' },
      },
      required: ['nonce', 'query', 'limit'],
      additionalProperties: false,
    },
    annotations: { readOnlyHint: true, openWorldHint: false },
  };
}

const NOTE = 'please look at every mail of the last quarter that mentions the delivery, '
  .repeat(11)
  .trimEnd();

/** A `tools/call` of about 1.1 KB. `nonce` is what the answer must bring back. */
export function callMessage(id: number, tool: string, nonce: string): string {
  return JSON.stringify({
    jsonrpc: '2.0',
    id,
    method: 'tools/call',
    params: {
      name: tool,
      arguments: { nonce, query: 'delivery AND (late OR lost)', folder: 'inbox/2025', limit: 50, note: NOTE },
    },
  });
}

const LINES = Array.from(
  { length: 24 },
  (_, i) =>
    `${pad(i)}\t2025-10-${pad((i % 28) + 1)}\t"delivery ${pad(i * 3)} came late"\twarehouse north, gate ${i}`,
).join('\n');

/** The text of a tool's answer; the whole message is about 2.1 KB. */
export function answerText(nonce: string): string {
  return `${nonce}\n${LINES}\n${LINES.slice(0, 330)}`;
}

/** What is wrong with an answer, or undefined when it is the one for this request. */
export function defectOfAnswer(status: number, body: string, id: number, nonce: string): string | undefined {
  if (status !== 200) return `status ${status}: ${body.slice(0, 300)}`;
  const answer = parseAnswer(body);
  if (answer === undefined) return `not a JSON message: ${body.slice(0, 300)}`;
  if (answer.id !== id) return `answer to request ${String(answer.id)} instead of ${id}`;
  const text = answer.result?.content?.[0]?.text;
  if (text !== answerText(nonce)) return `another answer than the one to ${nonce}: ${body.slice(0, 300)}`;
  return undefined;
}

type ToolAnswer = { id?: unknown; result?: { content?: { text?: unknown }[] } };

function parseAnswer(body: string): ToolAnswer | undefined {
  try {
    return JSON.parse(body) as ToolAnswer;
  } catch {
    return undefined;
  }
}
