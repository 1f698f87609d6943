import { fromJsonSchema, type McpServer } from '@modelcontextprotocol/server';
import { z } from 'zod';
import { embedded, IMAGE, text, WAV } from './content.ts';

const none = z.object({});

/** A schema with the keywords of JSON Schema 2020-12 that a relay must not lose (SEP-1613, SEP-2106). */
const RICH_SCHEMA = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  $defs: {
    address: {
      $anchor: 'addressDef',
      type: 'object',
      properties: { street: { type: 'string' }, city: { type: 'string' } },
    },
  },
  properties: {
    name: { type: 'string' },
    address: { $ref: '#/$defs/address' },
    contactMethod: { type: 'string', enum: ['phone', 'email'] },
    phone: { type: 'string' },
    email: { type: 'string' },
  },
  allOf: [{ anyOf: [{ required: ['phone'] }, { required: ['email'] }] }],
  if: { properties: { contactMethod: { const: 'phone' } }, required: ['contactMethod'] },
  ...{ ['then' as string]: { required: ['phone'] } },
  else: { required: ['email'] },
  additionalProperties: false,
} as const;

const HEADER_PARAMETER = { type: 'string', 'x-mcp-header': 'Region' } as const;
const HEADER_SCHEMA = {
  type: 'object',
  properties: { region: HEADER_PARAMETER },
  required: ['region'],
} as const;

/** Tools that answer at once: every kind of content, an error, a rich schema, a header parameter. */
export function addContentTools(server: McpServer): void {
  const simple = 'This is a simple text response for testing.';
  server.registerTool(
    'test_simple_text',
    { description: 'Answers with text', inputSchema: none, annotations: { readOnlyHint: true } },
    () => ({ content: [text(simple)] }),
  );
  server.registerTool(
    'test_image_content',
    { description: 'Answers with an image', inputSchema: none },
    () => ({ content: [IMAGE] }),
  );
  server.registerTool('test_audio_content', { description: 'Answers with sound', inputSchema: none }, () => ({
    content: [{ type: 'audio', data: WAV, mimeType: 'audio/wav' }],
  }));
  const resource = embedded(
    'test://embedded-resource',
    'text/plain',
    'This is an embedded resource content.',
  );
  server.registerTool(
    'test_embedded_resource',
    { description: 'Answers with a resource', inputSchema: none },
    () => ({ content: [resource] }),
  );
  const json = embedded('test://mixed-content-resource', 'application/json', '{"test":"data","value":123}');
  server.registerTool(
    'test_multiple_content_types',
    { description: 'Answers with text, an image and a resource', inputSchema: none },
    () => ({ content: [text('Multiple content types test:'), IMAGE, json] }),
  );
  server.registerTool('test_error_handling', { description: 'Always fails', inputSchema: none }, () => {
    throw new Error('This tool intentionally returns an error for testing');
  });
  server.registerTool(
    'json_schema_2020_12_tool',
    { description: 'Tool with JSON Schema 2020-12 features', inputSchema: fromJsonSchema(RICH_SCHEMA) },
    (args) => ({ content: [text(JSON.stringify(args))] }),
  );
  server.registerTool(
    'test_header_parameter',
    {
      description: 'Takes a parameter that clients repeat in a header',
      inputSchema: fromJsonSchema<{ region: string }>(HEADER_SCHEMA),
    },
    ({ region }) => ({ content: [text(`region ${region}`)] }),
  );
}
