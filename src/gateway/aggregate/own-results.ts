import { canonicalJson, type JsonObject, type JsonValue, type UpstreamName } from '../../base/index.ts';
import type { PinnedTool } from '../../cedar/index.ts';
import type { KnownRequest, UpstreamPort } from '../call/index.ts';
import type { PinnedCatalogue } from '../catalogue.ts';
import { isModernRevision, LEGACY_REVISION, META, MODERN_REVISION } from '../upstream/index.ts';
import type { AggregateDeps } from './deps.ts';
import { prefixName } from './names.ts';

/** Lists differ from run to run and change with policy, so clients should not hold them for long. */
const TTL_MS = 10_000;
const LEGACY_REVISIONS = ['2024-11-05', '2025-03-26', '2025-06-18', LEGACY_REVISION];

/** What the endpoint can do in both eras, as far as the upstreams can. */
const CAPABILITIES: JsonObject = {
  completions: {},
  prompts: { listChanged: true },
  resources: { listChanged: true, subscribe: true },
  tools: { listChanged: true },
};
const LEGACY_CAPABILITIES: JsonObject = {
  ...CAPABILITIES,
  logging: {},
  tasks: { cancel: {}, list: {}, requests: { tools: { call: {} } } },
};
const MODERN_CAPABILITIES: JsonObject = {
  ...CAPABILITIES,
  logging: {},
  extensions: { 'io.modelcontextprotocol/tasks': {} },
};

/** The answer to `initialize`: the client's revision where it is one of the sessions' era, else the newest of it. */
export function initializeResult(
  params: JsonObject,
  ports: readonly UpstreamPort[],
  deps: AggregateDeps,
): JsonObject {
  const wanted = params['protocolVersion'];
  const protocolVersion =
    typeof wanted === 'string' && LEGACY_REVISIONS.includes(wanted) ? wanted : LEGACY_REVISION;
  return {
    protocolVersion,
    capabilities: LEGACY_CAPABILITIES,
    serverInfo: serverInfo(deps),
    ...instructionsOf(ports, deps),
  };
}

/** The answer to `server/discover`. */
export function discoverResult(ports: readonly UpstreamPort[], deps: AggregateDeps): JsonObject {
  return {
    resultType: 'complete',
    supportedVersions: [MODERN_REVISION],
    capabilities: MODERN_CAPABILITIES,
    ...instructionsOf(ports, deps),
    ttlMs: TTL_MS,
    cacheScope: 'private',
    _meta: { [META.serverInfo]: serverInfo(deps) },
  };
}

/**
 * The answer to `tools/list` in its RFC 8785 form: what the run could be permitted to call, as it was reviewed, from
 * text that is made once per definition. No upstream is asked.
 */
export async function toolsResult(
  { caller, admitted }: KnownRequest,
  ports: readonly UpstreamPort[],
  { call: deps }: AggregateDeps,
): Promise<{ readonly canonical: string }> {
  const facts = await deps.history.facts(caller.chain[0]);
  const lists = ports.map(({ upstream: { name } }) =>
    listText(name, deps.pdp.visibleTools(caller, facts, name, deps.now()), deps.catalogue),
  );
  const tools = lists.filter((list) => list !== '').join(',');
  const isModern = admitted.leg === 'POST' && admitted.era === 'modern';
  const list = `"tools":[${tools}]`;
  const canonical = isModern
    ? `{"cacheScope":"private","resultType":"complete",${list},"ttlMs":${TTL_MS}}`
    : `{${list}}`;
  return { canonical };
}

/** Which revision a message is to name at an upstream: the one its session there was opened with. */
export function isSessionRevision(revision: JsonValue | undefined): revision is string {
  return typeof revision === 'string' && !isModernRevision(revision);
}

type KeptList = { readonly version: number; readonly text: string };

/** The PDP gives runs that it treats alike the same set. */
const lists = new WeakMap<ReadonlySet<string>, Map<string, KeptList>>();

function listText(upstream: UpstreamName, visible: ReadonlySet<string>, catalogue: PinnedCatalogue): string {
  const { version } = catalogue;
  const ofSet = lists.get(visible) ?? new Map<string, KeptList>();
  lists.set(visible, ofSet);
  const kept = ofSet.get(upstream);
  if (kept?.version === version) return kept.text;
  const text = [...catalogue.tools(upstream).values()]
    .filter((tool) => visible.has(tool.name) && catalogue.review(upstream, tool.name) === 'pinned')
    .map((tool) => textOf(upstream, tool))
    .join(',');
  ofSet.set(upstream, { version, text });
  return text;
}

const texts = new WeakMap<PinnedTool, string>();

function textOf(upstream: string, tool: PinnedTool): string {
  let text = texts.get(tool);
  if (text === undefined) {
    text = canonicalJson({ ...tool.definition, name: prefixName(upstream, tool.name) });
    texts.set(tool, text);
  }
  return text;
}

function serverInfo({ version }: AggregateDeps): JsonObject {
  return { name: 'sallyport', version };
}

/** Each server's reviewed words under its own name, so that none can speak for another. */
function instructionsOf(
  ports: readonly UpstreamPort[],
  { call }: AggregateDeps,
): { readonly instructions?: string } {
  const parts = ports.flatMap(({ upstream }) => {
    const text = call.catalogue.instructions(upstream.name);
    return text === undefined ? [] : [`Tools named ${prefixName(upstream.name, '*')}:\n${text}`];
  });
  return parts.length === 0 ? {} : { instructions: parts.join('\n\n') };
}
