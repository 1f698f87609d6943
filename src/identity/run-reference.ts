import type { RunId } from '../base/index.ts';
import type { Run } from './run.ts';

/** How tokens and token answers name a run and its place in the delegation tree. */
export type RunReference = { readonly run: RunId; readonly root: RunId; readonly depth: number };

export function runReference({ id, root, depth }: Run): RunReference {
  return { run: id, root, depth };
}
