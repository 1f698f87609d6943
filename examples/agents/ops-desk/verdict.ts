import type { Verdict } from './story.ts';

/** What can be read off the answer to a call. */
export type Reading = {
  readonly verdict: Verdict;
  /** The gateway's reason, or the beginning of the result. */
  readonly detail: string;
  /** Id of the call in the gateway's log. */
  readonly call?: string;
};

const REFUSALS: ReadonlySet<string> = new Set(['forbidden_by_policy', 'outside_envelope', 'not_permitted']);

/** Reads a tool result: the gateway marks what it refused in `_meta`. */
export function readResult(output: unknown): Reading {
  if (!isRecord(output)) return { verdict: 'allowed', detail: String(output) };
  const meta = isRecord(output['_meta']) ? output['_meta'] : {};
  const refusal = meta['sallyport/refusal'];
  const detail = textOf(output['content']);
  if (isRecord(refusal)) {
    const code = String(refusal['code']);
    const verdict = REFUSALS.has(code) ? (code as Verdict) : (`failed: ${code}` as const);
    return { verdict, detail: String(refusal['reason']), ...callOf(refusal) };
  }
  const receipt = isRecord(meta['sallyport/receipt']) ? meta['sallyport/receipt'] : {};
  if (output['isError'] === true) return { verdict: `failed: ${detail}`, detail, ...callOf(receipt) };
  return { verdict: 'allowed', detail, ...callOf(receipt) };
}

/** Reads what an MCP client threw. A 401 means that the gateway knows no such run any more. */
export function readError(error: unknown): Reading {
  const { statusCode, code } = isRecord(error) ? error : {};
  const detail = error instanceof Error ? error.message : String(error);
  const isUnauthorized = statusCode === 401 || code === 401;
  return { verdict: isUnauthorized ? 'run_over' : `failed: ${detail}`, detail };
}

function callOf(value: Record<string, unknown>): { call: string } | Record<never, never> {
  return typeof value['call'] === 'string' ? { call: value['call'] } : {};
}

function textOf(content: unknown): string {
  const parts: unknown[] = Array.isArray(content) ? content : [];
  const texts = parts.map((part) => (isRecord(part) && typeof part['text'] === 'string' ? part['text'] : ''));
  return texts.join(' ').replace(/\s+/g, ' ').slice(0, 120);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
