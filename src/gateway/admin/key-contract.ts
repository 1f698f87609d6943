import { z } from 'zod';

/** `GET /v1/keys`: the signing keys, never their private halves. */
export const KeyList = z.strictObject({
  keys: z.array(
    z.strictObject({
      kid: z.string(),
      gateway: z.string().optional().describe('The gateway that has it, when that is another one.'),
      state: z.enum(['active', 'next', 'retired']),
      createdAt: z.number().describe('Milliseconds since the epoch; also since when it is published.'),
      activatedAt: z.number().optional(),
      retiredAt: z.number().optional(),
    }),
  ),
});
export type KeyList = z.infer<typeof KeyList>;

/** Answer of `POST /v1/keys/rotate` and `POST /v1/keys/:kid/remove`. */
export const KeyChanges = z.strictObject({
  changes: z.array(
    z.strictObject({ kid: z.string(), change: z.enum(['created', 'activated', 'retired', 'removed']) }),
  ),
});
export type KeyChanges = z.infer<typeof KeyChanges>;

/** Body of `POST /v1/log/rotate-key`. */
export const LogKeyRequest = z.strictObject({
  reason: z.string().min(1).max(500),
  overlapHours: z
    .number()
    .min(0)
    .max(720)
    .default(24)
    .describe('So long the old key signs beside the new one.'),
});

/** Its answer: the record that tells of the change, and both keys in C2SP form. */
export const LogKeyChanged = z.strictObject({ idx: z.int(), from: z.string(), to: z.string() });
export type LogKeyChanged = z.infer<typeof LogKeyChanged>;
