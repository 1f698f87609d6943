import { z } from 'zod';

const variable = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_]{0,63}$/, { error: 'must be the name of a variable' });

/** The keys of the gateway itself: when they change, and what encrypts them where they lie. */
export const KeysEntry = z.strictObject({
  rotateHours: z
    .int()
    .min(1)
    .max(24 * 365)
    .default(24)
    .describe('The key that signs is replaced by the next, known one after this long.'),
  encryption: z
    .strictObject({
      file: z
        .string()
        .min(1)
        .describe('A file with 32 bytes in base64, mode 0600, kept apart from the data folder.'),
    })
    .optional()
    .describe('Encrypts the private keys in the data folder under the key in a file.'),
  kms: z
    .strictObject({
      command: z
        .array(z.string())
        .min(1)
        .max(64)
        .refine(([program = '']) => program.startsWith('/'), {
          error: 'must begin with the absolute path of a program',
        })
        .describe('Program and arguments, run at start without a shell: wrapped key in, key in base64 out.'),
      wrappedKey: z.string().min(1).describe('File with the key as the KMS wrapped it: its input.'),
      environment: z
        .array(variable)
        .default([])
        .describe('Variables of the gateway that it gets beside PATH and HOME.'),
      timeoutSeconds: z.int().min(1).max(60).default(10).describe('It is ended when it takes longer.'),
    })
    .optional()
    .describe('The same under a key that a KMS unwraps.'),
});

export type KeysConfig = z.infer<typeof KeysEntry>;

/** What the schema cannot say. */
export function keyProblems({ encryption, kms }: KeysConfig): string[] {
  if (encryption === undefined || kms === undefined) return [];
  return ['keys: encryption and kms are two ways to the same key; leave one out'];
}
