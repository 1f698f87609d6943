import type { ReviewedUpstream, ReviewRequest, ToolList } from '../../src/gateway/index.ts';
import type { Lab } from './open-lab.ts';

/** What the admin plane says of one upstream's tools. */
export async function reviewOf(lab: Lab, upstream: string): Promise<ReviewedUpstream> {
  const list = (await (await lab.admin('/v1/tools')).json()) as ToolList;
  const found = list.upstreams.find(({ name }) => name === upstream);
  if (found === undefined) throw new Error(`no upstream ${upstream}`);
  return found;
}

export async function toolOf(lab: Lab, upstream: string, tool: string) {
  const found = (await reviewOf(lab, upstream)).tools.find(({ name }) => name === tool);
  if (found === undefined) throw new Error(`no tool ${tool}`);
  return found;
}

export function review(lab: Lab, request: ReviewRequest): Promise<Response> {
  const headers = { 'content-type': 'application/json' };
  return lab.admin('/v1/tools/review', { method: 'POST', headers, body: JSON.stringify(request) });
}

/** Approves a tool as it is now. */
export async function approve(lab: Lab, upstream: string, tool: string): Promise<Response> {
  const { digest = null } = await toolOf(lab, upstream, tool);
  return review(lab, { upstream, tools: [{ tool, digest, verdict: 'approve' }] });
}
