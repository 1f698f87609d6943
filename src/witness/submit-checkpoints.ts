import {
  cosignedAt,
  formatAddCheckpoint,
  type Hash,
  parseNote,
  parseSignatures,
  type Witness,
} from '../intent-log/index.ts';

/** How a log has grown, with all changes of its key so far (`readRotation`). */
export type LogGrowth = {
  readonly size: number;
  readonly note: string;
  readonly proof: readonly Hash[];
  readonly rotations: readonly string[];
};

/** What a log can show a witness. */
export type GrowingLog = {
  /** The newest signed checkpoint and the proof from an older size to it; undefined when the log is smaller. */
  growth(since: number): Promise<LogGrowth | undefined>;
  keepCosignatures(size: number, lines: string): Promise<boolean>;
};

/** How a witness answered. `behind`: it has seen a checkpoint of that size, larger than the log: a rollback. */
export type Submission =
  | { readonly kind: 'cosigned'; readonly size: number }
  | { readonly kind: 'rolled_back'; readonly size: number }
  | { readonly kind: 'failed'; readonly detail: string };

export type SubmitDeps = { readonly fetch: typeof globalThis.fetch; readonly timeoutMs: number };

const MAX_ANSWER = 16 * 1024;

/**
 * Has one witness cosign the newest checkpoint and keeps its cosignature with the log. Asks with the size it
 * last heard of; a witness that knows another says so and is asked again, once. Never rejects for what a witness
 * does.
 */
export async function submitCheckpoint(
  witness: Witness & { readonly url: string },
  lastSize: number,
  log: GrowingLog,
  deps: SubmitDeps,
): Promise<Submission> {
  const first = await submitSince(witness, lastSize, log, deps);
  return first.kind === 'conflict' ? await again(first.size) : first;

  async function again(size: number): Promise<Submission> {
    const second = await submitSince(witness, size, log, deps);
    return second.kind === 'conflict'
      ? { kind: 'failed', detail: 'it names another size each time' }
      : second;
  }
}

async function submitSince(
  witness: Witness & { readonly url: string },
  since: number,
  log: GrowingLog,
  deps: SubmitDeps,
): Promise<Submission | { readonly kind: 'conflict'; readonly size: number }> {
  const growth = await log.growth(since);
  if (growth === undefined) return { kind: 'rolled_back', size: since };
  const answer = await post(
    witness.url,
    'add-checkpoint',
    formatAddCheckpoint(since, growth.proof, growth.note),
    deps,
  );
  if (typeof answer === 'string') return { kind: 'failed', detail: answer };
  if (answer.status === 409) {
    const size = /^(0|[1-9][0-9]{0,15})\n$/.exec(answer.text)?.[1];
    return size === undefined
      ? { kind: 'failed', detail: 'its conflict names no size' }
      : { kind: 'conflict', size: Number(size) };
  }
  if (answer.status !== 200) return { kind: 'failed', detail: `it answered with status ${answer.status}` };
  return keep(witness, growth, answer.text, log);
}

/** Only lines of the key that was configured, and only if they verify, find their way into the log. */
async function keep(
  { key }: Witness,
  { size, note }: { readonly size: number; readonly note: string },
  lines: string,
  log: GrowingLog,
): Promise<Submission> {
  const mine = (parseSignatures(lines) ?? []).filter(({ name, id }) => name === key.name && id === key.id);
  const parsed = parseNote(note);
  if (parsed === undefined || cosignedAt({ text: parsed.text, signatures: mine }, key) === undefined) {
    return { kind: 'failed', detail: 'its cosignature does not verify' };
  }
  const own = lines.split('\n').filter((line) => line.startsWith(`— ${key.name} `));
  return (await log.keepCosignatures(size, `${own.join('\n')}\n`))
    ? { kind: 'cosigned', size }
    : { kind: 'failed', detail: 'the checkpoint was superseded before it was cosigned' };
}

/**
 * Tells a witness of changes of the log's key. Never rejects: a witness that does not follow refuses the checkpoints of
 * the new key, and is heard of then.
 */
export async function tellKeyChanges(
  witness: Witness & { readonly url: string },
  rotations: readonly string[],
  deps: SubmitDeps,
): Promise<void> {
  await post(witness.url, 'add-key', JSON.stringify(rotations), deps);
}

async function post(
  url: string,
  endpoint: 'add-checkpoint' | 'add-key',
  body: string,
  deps: SubmitDeps,
): Promise<{ readonly status: number; readonly text: string } | string> {
  try {
    const response = await deps.fetch(`${url.replace(/\/$/, '')}/${endpoint}`, {
      method: 'POST',
      body,
      redirect: 'error',
      signal: AbortSignal.timeout(deps.timeoutMs),
    });
    const text = await response.text();
    return text.length > MAX_ANSWER ? 'its answer is too long' : { status: response.status, text };
  } catch (error) {
    return error instanceof Error && error.name === 'TimeoutError'
      ? 'it did not answer in time'
      : 'it cannot be reached';
  }
}
