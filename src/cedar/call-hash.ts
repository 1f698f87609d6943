import { digestJson, type RunId } from '../base/index.ts';
import type { Target } from './pdp.ts';

/**
 * Names one call for an approval: SHA-256, base64url, over run, upstream, tool, its pinned definition, arguments and
 * what else acts, in RFC 8785 form. Another run, tool or argument is another call, and so is another answer in a
 * retry, and the same call of a tool that has been reviewed anew.
 */
export function callHashOf(run: RunId, target: Target): string {
  const { upstream } = target;
  return target.kind === 'tool'
    ? digestJson({ run, upstream, tool: target.tool, args: target.args, ...restOf(target) })
    : digestJson({ run, upstream, method: target.method, params: target.params });
}

function restOf({ beside, definition }: Extract<Target, { kind: 'tool' }>) {
  return {
    ...(beside === undefined ? {} : { beside }),
    ...(definition === undefined ? {} : { definition }),
  };
}
