import type { ElicitRequestFormParams, McpServer } from '@modelcontextprotocol/server';
import { z } from 'zod';
import { text } from './content.ts';

const none = z.object({});
type FormSchema = ElicitRequestFormParams['requestedSchema'];

const PERSON: FormSchema = {
  type: 'object',
  properties: {
    username: { type: 'string', description: "User's response" },
    email: { type: 'string', description: "User's email address" },
  },
  required: ['username', 'email'],
};

/** A default for each primitive type (SEP-1034). */
const DEFAULTS: FormSchema = {
  type: 'object',
  properties: {
    name: { type: 'string', default: 'John Doe' },
    age: { type: 'integer', default: 30 },
    score: { type: 'number', default: 95.5 },
    status: { type: 'string', enum: ['active', 'inactive', 'pending'], default: 'active' },
    verified: { type: 'boolean', default: true },
  },
  required: [],
};

/** The five ways to offer a choice (SEP-1330). */
const CHOICES: FormSchema = {
  type: 'object',
  properties: {
    untitledSingle: { type: 'string', enum: ['option1', 'option2', 'option3'] },
    titledSingle: { type: 'string', oneOf: titled('Option') },
    legacyEnum: {
      type: 'string',
      enum: ['opt1', 'opt2', 'opt3'],
      enumNames: ['Option One', 'Option Two', 'Option Three'],
    },
    untitledMulti: { type: 'array', items: { type: 'string', enum: ['option1', 'option2', 'option3'] } },
    titledMulti: { type: 'array', items: { anyOf: titled('Choice') } },
  },
  required: [],
};

function titled(noun: string): { const: string; title: string }[] {
  return ['First', 'Second', 'Third'].map((ordinal, i) => ({
    const: `value${i + 1}`,
    title: `${ordinal} ${noun}`,
  }));
}

/**
 * Tools that ask the client while it waits, as servers do up to 2025-11-25. They ask on the stream of the call:
 * the GET stream may not be open yet, and what is sent there meanwhile is lost.
 */
export function addAskingTools(server: McpServer): void {
  server.registerTool(
    'test_sampling',
    { description: "Asks the client's model", inputSchema: z.object({ prompt: z.string() }) },
    async ({ prompt }, { mcpReq }) => {
      const { content } = await mcpReq.send({
        method: 'sampling/createMessage',
        params: { messages: [{ role: 'user', content: text(prompt) }], maxTokens: 100 },
      });
      const [block] = Array.isArray(content) ? content : [content];
      return { content: [text(`LLM response: ${block?.type === 'text' ? block.text : 'not text'}`)] };
    },
  );
  server.registerTool(
    'test_elicitation',
    { description: 'Asks the user', inputSchema: z.object({ message: z.string() }) },
    async ({ message }, { mcpReq }) => {
      const params = { mode: 'form', message, requestedSchema: PERSON };
      const answer = await mcpReq.send({ method: 'elicitation/create', params });
      return { content: [text(`User response: ${JSON.stringify(answer)}`)] };
    },
  );
  addForm(server, 'test_elicitation_sep1034_defaults', 'Please review the defaults', DEFAULTS);
  addForm(server, 'test_elicitation_sep1330_enums', 'Please choose', CHOICES);
}

function addForm(server: McpServer, name: string, message: string, requestedSchema: FormSchema): void {
  server.registerTool(name, { description: message, inputSchema: none }, async (_, { mcpReq }) => {
    const params = { mode: 'form', message, requestedSchema };
    const { action, content } = await mcpReq.send({ method: 'elicitation/create', params });
    return {
      content: [text(`Elicitation completed: action=${action}, content=${JSON.stringify(content ?? {})}`)],
    };
  });
}
