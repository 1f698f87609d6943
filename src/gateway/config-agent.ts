import { z } from 'zod';
import { agentName } from './config-identity.ts';
import { capability, toolPattern } from './config-names.ts';

const Owner = z.strictObject({
  kind: z.enum(['person', 'team']),
  name: z.string().min(1),
  contact: z.string().min(1).describe('Where to reach the owner: mail address, channel, pager.'),
});

/** An agent as configuration and admin API have it. */
export const AgentConfigEntry = z.strictObject({
  name: agentName,
  owner: Owner.describe('Who answers for the agent. An agent without an owner gets no run.'),
  environment: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,31}$/)
    .default('dev'),
  purposes: z
    .array(z.string().regex(/^[a-z][a-z0-9-]{0,63}$/))
    .min(1)
    .describe('What a run may declare as its purpose.'),
  tools: z.array(toolPattern).min(1).describe('The most that any run of this agent may call.'),
  maxCalls: z.int().min(1).max(1_000_000).default(1000).describe('Tool calls a run may have forwarded.'),
  maxDepth: z.int().min(0).max(8).default(0).describe('Delegation levels below a root run.'),
  maxRunSeconds: z.int().min(1).max(86_400).default(3600).describe('Longest life of a run.'),
  disabled: z.boolean().default(false).describe('A disabled agent keeps its place and gets nothing.'),
  capabilities: z
    .array(capability)
    .default([])
    .describe('Groups of tools that a run may declare, or that its task may suggest; none by default.'),
  addressees: z
    .array(z.string().min(1))
    .optional()
    .describe('Addressees that a run may declare, "@example.org" for all of a domain; any by default.'),
  sources: z.array(z.string().min(1)).optional().describe('Sources that a run may declare; any by default.'),
  limits: z
    .strictObject({
      amounts: z.record(z.string().min(1), z.number().min(0)).optional(),
      calls: z.record(capability, z.int().min(0)).optional(),
    })
    .optional()
    .describe('Largest amounts by name of an argument, and most calls by capability, for every run.'),
  strictPurposes: z
    .array(z.string())
    .default([])
    .describe('Purposes whose runs may use nothing but the capabilities they declare.'),
  actsFor: z
    .array(z.string().min(1))
    .default([])
    .describe('Whom the runs act for: mail addresses, account numbers, user names.'),
});
