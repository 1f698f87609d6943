import { type JsonObject, parseUpstreamName } from '../../src/base/index.ts';
import {
  type Catalogue,
  type CatalogueUpstream,
  pinUpstream,
  type ToolAnnotations,
  type ToolSettings,
} from '../../src/cedar/index.ts';
import { readRows } from './cases.ts';

/** A tool as the data describes it, with annotations written from tool lists alone. */
type ToolRow = {
  readonly suite: string;
  readonly name: string;
  readonly description: string;
  readonly input_schema: JsonObject;
  readonly annotation: {
    readonly effect: 'read' | 'write' | 'egress_read';
    readonly result_trust: 'own' | 'third_party';
    readonly capability: string | null;
    readonly sink: string | null;
    readonly key_args: readonly string[];
    readonly content_args: readonly string[];
  };
};

/** Who says what the tools do: a reviewer, or nobody but their definitions. */
export type AnnotationSource = 'reviewed' | 'derived';

/** The tools of all suites; each suite is an upstream. */
export function readTools(folder: string, source: AnnotationSource): Catalogue {
  const rows = readRows<ToolRow>(folder, 'tool_catalogue.jsonl');
  if (rows === undefined) throw new Error(`${folder} has no tool_catalogue.jsonl`);
  return {
    upstreams: [...Map.groupBy(rows, ({ suite }) => suite)].map(([suite, tools]) =>
      pin(suite, tools, source),
    ),
    labels: ['untrusted'],
    purposes: ['replay'],
    environments: ['bench'],
  };
}

function pin(suite: string, rows: readonly ToolRow[], source: AnnotationSource): CatalogueUpstream {
  const name = parseUpstreamName(suite);
  if (name === undefined) throw new Error(`the suite ${suite} has no name that an upstream can have`);
  const settings: Record<string, ToolSettings> = {};
  if (source === 'reviewed') {
    for (const row of rows) settings[row.name] = { annotations: toAnnotations(row) };
  }
  const definitions = rows.map((row) => ({
    name: row.name,
    description: row.description,
    inputSchema: row.input_schema,
  }));
  return pinUpstream({ name, environment: 'bench', methods: [], settings }, definitions);
}

const EFFECTS = { read: 'read', write: 'write', egress_read: 'egressRead' } as const;

/**
 * The annotations of the data know key arguments without their kind. Ids and attachments are identifiers; what
 * decides who or where is an address; and what a write to the own account puts into a record is content.
 */
function toAnnotations({ annotation }: ToolRow): ToolAnnotations {
  const { effect, result_trust, capability, sink, key_args, content_args } = annotation;
  const isOwnData = (path: string) => sink === 'own account' && !isIdentifier(path) && OWN_DATA.test(path);
  return {
    effect: EFFECTS[effect],
    sink: sink === 'external' ? 'external' : sink === 'own account' ? 'own' : 'none',
    resultTrust: result_trust === 'own' ? 'own' : 'thirdParty',
    ...(capability === null ? {} : { capability: capabilityName(capability) }),
    keyArguments: key_args
      .filter((path) => !isOwnData(path))
      .map((path) => ({ path, kind: isIdentifier(path) ? 'identifier' : 'address' })),
    contentArguments: [...content_args, ...key_args.filter(isOwnData)],
  };
}

const isIdentifier = (path: string): boolean =>
  /(?:^|_)(?:ids?|number|attachments?|sha)$|^files?$/i.test(path);

/** Parts of a profile: names, places, dates. What logs somebody in or reaches somebody is not among them. */
const OWN_DATA = /name|street|city|zip|country|state|birth|title|date|time|location/i;

/** The groups of the data by the names that groups have everywhere. */
const STANDARD_GROUPS: ReadonlyMap<string, string> = new Map([
  ['mail-send', 'send-message'],
  ['msg', 'send-message'],
  ['mail-delete', 'delete'],
  ['cal-write', 'schedule'],
  ['drive-write', 'edit-files'],
  ['drive-delete', 'delete'],
  ['drive-share', 'manage-access'],
  ['members', 'manage-access'],
  ['account', 'manage-access'],
  ['pay-update', 'pay'],
  ['reserve', 'book'],
  ['web-read', 'fetch-web'],
]);

export const standardGroup = (name: string): string => STANDARD_GROUPS.get(name) ?? name;

/** `mail.send` in the data, `mail-send` where names are checked. */
export const capabilityName = (name: string): string => name.replaceAll('.', '-');
