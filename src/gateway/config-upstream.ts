import { z } from 'zod';
import { capability, label, upstreamName, webUrl } from './config-names.ts';
import { Credential } from './credential-config.ts';

/** What a reviewer says about a tool; each part wins over what is derived from its definition. */
const Annotations = z.strictObject({
  effect: z
    .enum(['read', 'write', 'egressRead'])
    .optional()
    .describe('"egressRead" reads, and can carry data out by its arguments: fetching a URL.'),
  sink: z
    .enum(['none', 'own', 'external'])
    .optional()
    .describe('Where it takes data: nowhere, the own account, to others.'),
  resultTrust: z
    .enum(['own', 'thirdParty'])
    .optional()
    .describe('Who wrote what comes back: own systems, or anybody.'),
  capability: capability.optional().describe('Group of tools that a run may declare it needs.'),
  keyArguments: z
    .array(z.strictObject({ path: z.string().min(1), kind: z.enum(['address', 'identifier']) }))
    .optional()
    .describe('Arguments that decide who, what or where, as dotted paths.'),
  contentArguments: z
    .array(z.string().min(1))
    .optional()
    .describe('Arguments that carry content, as dotted paths.'),
});

const ToolSettings = z.strictObject({
  annotations: Annotations.optional().describe('Overrides what is derived from the definition.'),
  labels: z
    .array(label)
    .optional()
    .describe('Taint labels that a result of this tool puts on the delegation tree.'),
  groups: z
    .array(z.enum(['readOnly', 'write', 'destructive', 'openWorld']))
    .optional()
    .describe('Overrides the groups taken from MCP annotations, which are only hints.'),
});

/** An MCP server behind the gateway. */
export const UpstreamEntry = z.strictObject({
  name: upstreamName,
  environment: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,31}$/)
    .default('dev'),
  transport: z.discriminatedUnion('kind', [
    z.strictObject({
      kind: z.literal('http').describe('MCP streamable HTTP.'),
      url: webUrl,
    }),
    z.strictObject({
      kind: z.literal('stdio').describe('A child process per run.'),
      command: z.string().min(1),
      args: z.array(z.string()).default([]),
      env: z
        .record(z.string(), z.string())
        .default({})
        .describe('The whole environment besides PATH and HOME.'),
      cwd: z.string().optional(),
      streamSeconds: z
        .int()
        .min(1)
        .max(3600)
        .optional()
        .describe(
          'Closes the stream of a call after this long; its client comes back for the rest (2025-11-25).',
        ),
    }),
  ]),
  credential: Credential.default({ kind: 'none' }),
  review: z
    .enum(['first-contact', 'required'])
    .default('first-contact')
    .describe(
      'Who reviews tool definitions the first time: "first-contact" trusts them on first use, "required" makes nothing callable before "sallyport tools review" has approved it.',
    ),
  tools: z.record(z.string(), ToolSettings).default({}).describe('Settings by tool name.'),
  labels: z
    .array(label)
    .default([])
    .describe(
      'Taint labels of everything that comes from this upstream, reviewed text apart: results, resources, prompts, what it says on its own and asks of its client.',
    ),
  methods: z
    .array(z.string().min(1))
    .default([])
    .describe('Methods beyond the MCP specification that policy may permit by name.'),
  timeoutSeconds: z
    .int()
    .min(1)
    .max(3600)
    .default(60)
    .describe('Longest silence of the upstream within a call.'),
});
