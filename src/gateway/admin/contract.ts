import { z } from 'zod';

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

/** `GET /v1/status`. */
export const Status = z.strictObject({
  version: z.string(),
  policyRevision: z.string(),
  requestsInFlight: z.int(),
  liveRuns: z.int(),
  upstreams: z.array(z.strictObject({ name: z.string(), tools: z.int(), pinned: z.boolean() })),
});
export type Status = z.infer<typeof Status>;
