import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { JsonObject } from '../../src/base/index.ts';

/** A call of a recorded run, with what the agent saw of its result. */
export type RecordedCall = {
  readonly tool: string;
  readonly args: JsonObject;
  readonly result: string | null;
  readonly error: string | null;
  readonly shows_injection?: boolean;
};

/** A recorded run. The stored files have more members; these are the ones that decide. */
export type Case = {
  readonly id: string;
  readonly suite: string;
  readonly kind: string;
  readonly user_task: string | null;
  readonly injection_task: string | null;
  readonly request: string;
  readonly declared: {
    readonly capabilities: readonly string[];
    readonly write_tools: readonly string[];
    readonly capabilities_by_keyword?: readonly string[];
  };
  readonly injection_text?: string | null;
  readonly calls: readonly RecordedCall[];
  /** The attack is stopped when for one group every call in it is not permitted. */
  readonly must_stop: readonly (readonly number[])[];
};

/** What is reported as one table. */
export type CaseSet = {
  readonly name: string;
  readonly kind: 'benign' | 'attack';
  readonly cases: readonly Case[];
};

const SETS = [
  { name: 'recorded benign', kind: 'benign', file: 'agentdojo_recorded_benign.jsonl' },
  { name: 'ground truth benign', kind: 'benign', file: 'agentdojo_ground_truth.jsonl' },
  { name: 'recorded attacks', kind: 'attack', file: 'agentdojo_recorded_attack.jsonl' },
  { name: 'composed pairs', kind: 'attack', file: 'agentdojo_composed_pairs.jsonl' },
] as const;

/** Reads the sets that a folder has; each may also be gzipped. Throws when it has none, or a line is no JSON. */
export function readCaseSets(folder: string): CaseSet[] {
  const sets = SETS.flatMap(({ name, kind, file }) => {
    const rows = readRows<Case>(folder, file);
    const isScored = (row: Case) => (kind === 'benign' ? row.kind === 'benign' : row.must_stop.length > 0);
    return rows === undefined ? [] : [{ name, kind, cases: rows.filter(isScored) }];
  });
  if (sets.length === 0) throw new Error(`${folder} has none of ${SETS.map(({ file }) => file).join(', ')}`);
  return sets;
}

/** The rows of a file of JSON lines; undefined when it does not exist. */
export function readRows<Row>(folder: string, file: string): Row[] | undefined {
  const plain = join(folder, file);
  const bytes = existsSync(plain)
    ? readFileSync(plain)
    : existsSync(`${plain}.gz`)
      ? gunzipSync(readFileSync(`${plain}.gz`))
      : undefined;
  return bytes
    ?.toString('utf8')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => JSON.parse(line) as Row);
}
