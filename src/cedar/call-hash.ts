import { digestJson, type RunId } from '../base/index.ts';
import type { Target } from './pdp.ts';

/**
 * Names one call for an approval: SHA-256, base64url, over run, upstream, tool and arguments in RFC 8785 form.
 * Another run, another tool or another argument is another call.
 */
export function callHashOf(run: RunId, target: Target): string {
  const { upstream } = target;
  return target.kind === 'tool'
    ? digestJson({ run, upstream, tool: target.tool, args: target.args })
    : digestJson({ run, upstream, method: target.method, params: target.params });
}
