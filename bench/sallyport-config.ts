import { join } from 'node:path';
import type { RunGrant } from './load-protocol.ts';
import { toolNames } from './messages.ts';

/** What the generated configuration depends on. */
export type GatewaySetting = {
  readonly folder: string;
  readonly base: string;
  readonly agentPort: number;
  readonly adminPort: number;
  readonly upstreamUrl: string;
  readonly grant: RunGrant;
};

/** A configuration with everything on: proof of possession, policy, call token, durable log. */
export function gatewayConfig(setting: GatewaySetting) {
  const { folder, grant } = setting;
  return {
    trustDomain: 'bench.example',
    publicUrl: setting.base,
    data: join(folder, 'data'),
    policies: join(folder, 'policies'),
    agentPlane: { host: '127.0.0.1', port: setting.agentPort },
    adminPlane: { host: '127.0.0.1', port: setting.adminPort },
    agents: [
      {
        name: 'bench-agent',
        owner: { kind: 'team', name: 'bench', contact: 'bench@example.org' },
        purposes: [grant.purpose],
        tools: ['bench/*'],
        maxCalls: 1_000_000,
      },
    ],
    attestors: [
      {
        kind: 'jwt',
        name: 'bench-issuer',
        issuer: grant.issuer,
        jwks: { file: join(folder, 'jwks.json') },
        algorithms: ['ES256'],
        rules: [{ agent: 'bench-agent', claims: { sub: grant.subject } }],
      },
    ],
    upstreams: [
      {
        name: 'bench',
        transport: { kind: 'http', url: setting.upstreamUrl },
        credential: { kind: 'call-token' },
      },
    ],
  };
}

/**
 * Whether policies read only what repeats from call to call, or also what never does: then no decision can come
 * from the cache.
 */
export type Decisions = 'cacheable' | 'uncacheable';

const action = (name: string) => `Sallyport::Action::"${name}"`;

/**
 * 50 policies over 50 tools (49 permits of which one holds two tools, one forbid over all), and a permit for what
 * a session begins with.
 */
export function policyText(decisions: Decisions): string {
  const shared = toolNames.slice(-2);
  const permits = [...toolNames.slice(0, -2).map((name) => [name]), shared].map((tools) =>
    toolPermit(tools, decisions),
  );
  return [...permits, SECRET_FORBID, LIFECYCLE_PERMIT].join('\n');
}

function toolPermit(tools: readonly string[], decisions: Decisions): string {
  const onEachCall = decisions === 'uncacheable' ? ' &&\n  context.args.nonce != ""' : '';
  const actions = tools.map((tool) => action(`bench/${tool}`)).join(', ');
  return `@id("bench-${tools.join('-')}")
@owner("bench")
@severity("low")
@reason("searches of the inbox are limited to 100 lines")
permit (principal, action in [${actions}], resource)
when {
  context.intent.purpose == Sallyport::Purpose::"bench" &&
  context.args.limit <= 100 &&
  context.args has folder && context.args.folder like "inbox/*"${onEachCall}
};
`;
}

const SECRET_FORBID = `@id("bench-no-secrets")
@owner("bench")
@severity("high")
@reason("a run that has seen secrets may call nothing")
forbid (principal, action in ${action('call')}, resource)
when { context.run.labels.contains(Sallyport::Label::"secret") };
`;

const LIFECYCLE_PERMIT = `@id("bench-lifecycle")
@owner("bench")
@severity("low")
@reason("a session begins with these")
permit (
  principal,
  action in [${action('protocol')}, ${action('list')}],
  resource
);
`;
