import type { AgentRun } from '../../src/client/index.ts';
import { LEGACY_HEADERS } from './mcp-post.ts';

/** Posts one message to the aggregate endpoint through a run. */
export function postAll(
  run: AgentRun,
  gateway: { readonly publicUrl: string },
  message: object,
  headers: Record<string, string> = {},
): Promise<Response> {
  return run.fetch(`${gateway.publicUrl}/mcp`, {
    method: 'POST',
    headers: { ...LEGACY_HEADERS, ...headers },
    body: JSON.stringify(message),
  });
}
