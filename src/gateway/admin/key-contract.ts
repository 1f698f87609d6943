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
