import { z } from 'zod';
import type { JsonValue } from '../../base/index.ts';

/** `GET /v1/runs`: the live runs, oldest first. */
export const RunList = z.strictObject({
  runs: z.array(
    z.strictObject({
      run: z.string(),
      agent: z.string(),
      owner: z.string(),
      purpose: z.string(),
      parent: z.string().optional(),
      issuedAt: z.int().describe('Seconds since the epoch.'),
      expiresAt: z.int().describe('Seconds since the epoch.'),
    }),
  ),
});
export type RunList = z.infer<typeof RunList>;

/** Body of `POST /v1/runs/:run/revoke`. */
export const RevokeRequest = z.strictObject({
  reason: z.string().trim().min(1).max(500).describe('Why; kept in the log.'),
});

/** Answer of `POST /v1/runs/:run/revoke`: the run and its descendants that were live until now. */
export const RevokeResult = z.strictObject({ revoked: z.array(z.string()) });
export type RevokeResult = z.infer<typeof RevokeResult>;

const StopTarget = z.discriminatedUnion('scope', [
  z.strictObject({ scope: z.literal('all') }),
  z.strictObject({ scope: z.enum(['agent', 'owner', 'upstream']), name: z.string().min(1).max(200) }),
]);

/** Body of `POST /v1/stops`, which throws a kill switch, and of `POST /v1/stops/lift`. */
export const StopRequest = z.strictObject({
  target: StopTarget,
  reason: z.string().trim().min(1).max(500).describe('Why; kept in the log.'),
});
export type StopRequest = z.infer<typeof StopRequest>;

/** Answer of `POST /v1/stops`: the runs that were live until now. */
export const StopResult = z.strictObject({ revoked: z.array(z.string()) });
export type StopResult = z.infer<typeof StopResult>;

/** `GET /v1/stops`: the kill switches that are thrown. */
export const StopList = z.strictObject({
  stops: z.array(
    z.strictObject({
      scope: z.enum(['agent', 'owner', 'upstream', 'all']),
      name: z.string().optional(),
      by: z.string(),
      reason: z.string(),
      since: z.number().describe('Seconds since the epoch.'),
    }),
  ),
});
export type StopList = z.infer<typeof StopList>;
const reason = z.string().trim().min(1).max(500).describe('Why; kept in the log.');

/** Body of `POST /v1/content/erase`. */
export const EraseRequest = z.strictObject({ runs: z.array(z.string()).min(1).max(10_000), reason });

/** Body of `POST /v1/content/prune`: content of runs that are over and of which nothing was kept since `before`. */
export const PruneRequest = z.strictObject({ before: z.iso.datetime({ offset: true }), reason });

/** Answer of both: how many runs, and how many arguments and results of them. */
export const EraseResult = z.strictObject({ runs: z.int(), parts: z.int() });
export type EraseResult = z.infer<typeof EraseResult>;

/** What `GET /v1/status` may complain of. */
export const FINDINGS = ['static-secret'] as const;

/** `GET /v1/status`. */
export const Status = z.strictObject({
  version: z.string(),
  policyRevision: z.string(),
  log: z.strictObject({
    state: z.enum(['open', 'degraded', 'waiting', 'closed']),
    reason: z.string().optional(),
  }),
  requestsInFlight: z.int(),
  liveRuns: z.int(),
  /** MCP sessions that agents hold at upstreams. */
  sessions: z.int(),
  upstreams: z.array(
    z.strictObject({
      name: z.string(),
      tools: z.int(),
      pinned: z.boolean(),
      credential: z.string().describe('Kind of what it gets, as in the configuration.'),
      credentialOutlivesCall: z
        .boolean()
        .describe('Whether that can be used again after the call it was for.'),
    }),
  ),
  /** What should not stay as it is. */
  findings: z.array(z.strictObject({ finding: z.enum(FINDINGS), upstream: z.string(), detail: z.string() })),
});
export type Status = z.infer<typeof Status>;

const json = z.custom<JsonValue>((value) => value !== undefined);
const Suspicion = z.strictObject({
  kind: z.enum(['hidden-text', 'instruction', 'secret', 'other-tool', 'url', 'encoded']),
  where: z.string(),
  text: z.string(),
});

const State = z.enum(['reviewed', 'new', 'changed', 'removed', 'rejected', 'collides']);
const Changes = z.array(
  z.strictObject({ path: z.string(), before: json.optional(), after: json.optional() }),
);

/** One upstream in `GET /v1/tools`: what was reviewed and what is there now. */
export const ReviewedUpstream = z.strictObject({
  name: z.string(),
  environment: z.string(),
  transport: z.enum(['http', 'stdio']),
  source: z.string().describe('URL or command line: whose word the definitions are.'),
  review: z.enum(['first-contact', 'required']),
  isPinned: z.boolean(),
  wasAsked: z.boolean().describe('False: not since the start, so what is shown is what was reviewed.'),
  instructions: z.strictObject({
    state: z.enum(['reviewed', 'new', 'changed', 'removed']),
    text: z.string().optional(),
    digest: z.string().optional(),
    reviewedText: z.string().optional(),
    suspicions: z.array(Suspicion),
  }),
  tools: z.array(
    z.strictObject({
      name: z.string(),
      state: State,
      digest: z.string().optional().describe('Of the present definition; none when it was removed.'),
      reviewedDigest: z.string().optional(),
      definition: json,
      annotations: json.optional(),
      groups: z.array(z.string()),
      labels: z.array(z.string()),
      forPolicy: z
        .strictObject({
          effect: z.enum(['read', 'write', 'egressRead']),
          sink: z.enum(['none', 'own', 'external']),
          resultTrust: z.enum(['own', 'thirdParty']),
          capability: z.string().optional(),
          keyArguments: z.array(
            z.strictObject({ path: z.string(), kind: z.enum(['address', 'identifier']) }),
          ),
          contentArguments: z.array(z.string()),
        })
        .optional()
        .describe('What policies are told of the tool: from the configuration, else from its definition.'),
      changes: Changes,
      suspicions: z.array(Suspicion),
      collidesWith: z.string().optional().describe('The earlier tool that this one could be taken for.'),
    }),
  ),
  prompts: z.array(
    z.strictObject({
      name: z.string(),
      state: State,
      digest: z.string().optional(),
      reviewedDigest: z.string().optional(),
      definition: json,
      changes: Changes,
      suspicions: z.array(Suspicion),
      collidesWith: z.string().optional(),
    }),
  ),
});
export type ReviewedUpstream = z.infer<typeof ReviewedUpstream>;

/** `GET /v1/tools`. */
export const ToolList = z.strictObject({ upstreams: z.array(ReviewedUpstream) });
export type ToolList = z.infer<typeof ToolList>;

/** Body of `POST /v1/tools/review`: verdicts on definitions that a person has seen, named by their digests. */
export const ReviewRequest = z.strictObject({
  upstream: z.string(),
  tools: z
    .array(
      z.strictObject({
        tool: z.string().min(1),
        digest: z.string().nullable().describe('As listed; null for a tool that was removed.'),
        verdict: z.enum(['approve', 'reject']),
      }),
    )
    .max(10_000),
  prompts: z
    .array(
      z.strictObject({
        prompt: z.string().min(1),
        digest: z.string().nullable().describe('As for tools.'),
        verdict: z.enum(['approve', 'reject']),
      }),
    )
    .max(10_000)
    .optional(),
  instructions: z
    .strictObject({ digest: z.string().nullable() })
    .optional()
    .describe('Approves the instructions as they are now.'),
});
export type ReviewRequest = z.infer<typeof ReviewRequest>;

/** Answer of `POST /v1/tools/review`. */
export const ReviewResult = z.strictObject({
  upstream: z.string(),
  approved: z.array(z.string()),
  rejected: z.array(z.string()),
  instructions: z.boolean(),
  prompts: z
    .strictObject({ approved: z.array(z.string()), rejected: z.array(z.string()) })
    .optional()
    .describe('Only when the request was about prompts.'),
  problems: z.string().optional().describe('Why the policies still are not in force.'),
});
export type ReviewResult = z.infer<typeof ReviewResult>;
