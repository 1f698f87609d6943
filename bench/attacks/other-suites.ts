import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { isJsonObject, type JsonObject, type JsonValue, parseUpstreamName } from '../../src/base/index.ts';
import { type Catalogue, type CatalogueUpstream, pinUpstream } from '../../src/cedar/index.ts';
import { type Case, type CaseSet, type RecordedCall, readRows } from './cases.ts';

type Row = { readonly suite: string; readonly name: string };
type ToolRow = Row & { readonly description: string; readonly input_schema: JsonObject };
type CallRow = Pick<RecordedCall, 'tool' | 'args' | 'result'> & { readonly error?: string | null };

type Suite = {
  readonly name: string;
  readonly file: string;
  readonly tools: { readonly file: string; readonly isOf: (row: Row) => boolean };
  readonly read: (row: JsonObject) => { request: string; calls: readonly CallRow[] };
};

/** Benign runs of other kinds of agents. Nobody wrote annotations for them, and no rule was written with them. */
const SUITES: readonly Suite[] = [
  {
    name: 'airline',
    file: 'taubench_airline_recorded.jsonl',
    tools: { file: 'tau2_tools.jsonl', isOf: ({ suite }) => suite === 'airline' },
    read: ({ events }) => readEvents(events as readonly JsonObject[]),
  },
  {
    name: 'retail',
    file: 'tau2_benign.jsonl',
    tools: { file: 'tau2_tools.jsonl', isOf: ({ suite }) => suite === 'retail' },
    read: ({ prompt, calls }) => ({ request: textsOf(prompt ?? null), calls: calls as readonly CallRow[] }),
  },
  {
    name: 'multi-turn',
    file: 'bfcl_benign.jsonl',
    tools: { file: 'bfcl_tools.jsonl', isOf: ({ suite }) => !suite.startsWith('memory') },
    read: ({ turns }) => readTurns(turns as readonly Turn[]),
  },
];

export type OtherSuites = { readonly sets: readonly CaseSet[]; readonly catalogue: Catalogue };

/** What the folder has of them. */
export function readOtherSuites(folder: string): OtherSuites | undefined {
  const found = SUITES.filter(({ file }) => existsSync(join(folder, file)));
  if (found.length === 0) return undefined;
  const upstreams = found.map((suite) => pinTools(suite, folder));
  return {
    sets: found.map((suite, at) => readSet(suite, folder, upstreams[at])),
    catalogue: { upstreams, labels: ['untrusted'], purposes: ['replay'], environments: ['bench'] },
  };
}

function readSet(
  { name, file, read }: Suite,
  folder: string,
  upstream: CatalogueUpstream | undefined,
): CaseSet {
  const known = new Set(upstream?.tools.map((tool) => tool.name));
  const writes = new Set(
    upstream?.tools.filter(({ annotations }) => annotations.effect !== 'read').map((tool) => tool.name),
  );
  const cases = (readRows<JsonObject>(folder, file) ?? []).map((row): Case => {
    const { request, calls } = read(row);
    const used = new Set(calls.map(({ tool }) => tool).filter((tool) => writes.has(tool)));
    return {
      id: `${name}/${String(row['id'] ?? row['task_id'])}`,
      suite: name,
      kind: 'benign',
      user_task: null,
      injection_task: null,
      request,
      declared: { capabilities: [], write_tools: [...used] },
      // some calls are of the agent's own means, of which the data has no definition
      calls: calls
        .filter(({ tool }) => known.has(tool))
        .map((call) => ({ ...call, error: call.error ?? null })),
      must_stop: [],
    };
  });
  return { name, kind: 'benign', cases };
}

type Turn = { readonly prompt: string; readonly calls: readonly CallRow[] };

/** All that the user says in the run is its request: what was said later is not known beforehand, of course. */
function readTurns(turns: readonly Turn[]): { request: string; calls: readonly CallRow[] } {
  return {
    request: turns.map(({ prompt }) => prompt).join('\n'),
    calls: turns.flatMap(({ calls }) => calls),
  };
}

function readEvents(events: readonly JsonObject[]): { request: string; calls: readonly CallRow[] } {
  return {
    request: events.flatMap(({ user }) => (typeof user === 'string' ? [user] : [])).join('\n'),
    calls: events.filter(({ tool }) => tool !== undefined) as unknown as readonly CallRow[],
  };
}

function textsOf(value: JsonValue): string {
  if (typeof value === 'string') return value;
  return isJsonObject(value) ? Object.values(value).map(textsOf).join('\n') : '';
}

function pinTools({ name, tools }: Suite, folder: string): CatalogueUpstream {
  const upstream = parseUpstreamName(name);
  if (upstream === undefined) throw new Error(`the suite ${name} has no name that an upstream can have`);
  const rows = (readRows<ToolRow>(folder, tools.file) ?? []).filter(tools.isOf);
  const definitions = [...new Map(rows.map((row) => [row.name, row])).values()].map((row) => ({
    name: row.name,
    description: row.description,
    inputSchema: withJsonTypes(row.input_schema) as JsonObject,
  }));
  return pinUpstream({ name: upstream, environment: 'bench', methods: [], settings: {} }, definitions);
}

const JSON_TYPES: Readonly<Record<string, string>> = { dict: 'object', float: 'number', tuple: 'array' };

/** Some of the data has the types of Python. */
function withJsonTypes(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map((item: JsonValue) => withJsonTypes(item));
  if (!isJsonObject(value)) return value;
  const entries = Object.entries(value).map(([key, member]) => {
    const type = key === 'type' && typeof member === 'string' ? JSON_TYPES[member] : undefined;
    return [key, type ?? withJsonTypes(member)] as const;
  });
  return Object.fromEntries(entries);
}
