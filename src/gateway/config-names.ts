import { z } from 'zod';
import { parseUpstreamName } from '../base/index.ts';

/** What names of agents and upstreams are made of. */
export const NAME_RULE = 'must be lower-case letters, digits and inner hyphens, at most 63 characters';

/** The name of an upstream. */
export const upstreamName = z.string().transform((name, context) => {
  const parsed = parseUpstreamName(name);
  if (parsed !== undefined) return parsed;
  context.addIssue({ code: 'custom', message: NAME_RULE });
  return z.NEVER;
});

/** An http:// or https:// URL. */
export const webUrl = z.string().regex(/^https?:\/\//, { error: 'must be an http:// or https:// URL' });

/** A tool of an upstream, or all of them. */
export const toolPattern = z.string().regex(/^[a-z0-9-]+\/(?:\*|[^*\s]+)$/, {
  error: 'must be "<upstream>/<tool>" or "<upstream>/*"',
});

/** A group of tools that a run may declare. */
export const capability = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,63}$/, { error: 'must be a lower-case name such as "send-message"' });

/** A taint label. */
export const label = z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, { error: 'must be a lower-case word' });
