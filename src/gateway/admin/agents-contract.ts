import { z } from 'zod';

/** One agent in `GET /v1/agents`. */
export const AgentView = z.strictObject({
  name: z.string(),
  owner: z.strictObject({ kind: z.enum(['person', 'team']), name: z.string(), contact: z.string() }),
  environment: z.string(),
  purposes: z.array(z.string()),
  tools: z.array(z.string()),
  maxCalls: z.int(),
  maxDepth: z.int(),
  maxRunSeconds: z.int(),
  from: z.enum(['config', 'api']).describe('Where it is registered.'),
  disabled: z.boolean(),
  liveRuns: z.int(),
});
export type AgentView = z.infer<typeof AgentView>;

/** `GET /v1/agents`. */
export const AgentList = z.strictObject({ agents: z.array(AgentView) });
export type AgentList = z.infer<typeof AgentList>;

const reason = z.string().trim().min(1).max(500).describe('Why; kept in the log.');

/** Body of `POST /v1/agents/:agent/disable`, `/enable` and `/remove`. */
export const AgentChangeRequest = z.strictObject({ reason });

/** Answer of a change: the agent as it is now, and the live runs that ended with it. */
export const AgentChangeResult = z.strictObject({ agent: z.string(), ended: z.array(z.string()) });
export type AgentChangeResult = z.infer<typeof AgentChangeResult>;
