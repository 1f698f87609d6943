import type { Logger } from 'pino';
import type { Clock, UpstreamName } from '../base/index.ts';
import {
  type CredentialJournal,
  type CredentialSource,
  callTokenSource,
  type MintDeps,
  NO_CREDENTIAL,
} from '../identity/index.ts';
import type { Destination } from '../intent-log/index.ts';
import type { UpstreamPort } from './call/index.ts';
import type { Config, UpstreamConfig } from './config.ts';
import { openHttpUpstream, openStdioUpstream, type Upstream } from './upstream/index.ts';

/** What credentials that outlive a call are made from. */
export type CredentialDeps = MintDeps & { readonly journal: CredentialJournal };

/** Opens the source of such credentials for an upstream. Throws `ERR_KEY_INVALID` for a secret that is not there. */
export type OpenCredential = (entry: UpstreamConfig, deps: CredentialDeps) => Promise<CredentialSource>;

type Deps = { readonly now: Clock; readonly log: Logger };

/** Opens the upstreams of a configuration; none is contacted yet. */
export async function openUpstreams(
  config: Config,
  openCredential: OpenCredential,
  deps: Deps & CredentialDeps,
): Promise<ReadonlyMap<UpstreamName, UpstreamPort>> {
  const opened = new Map<UpstreamName, UpstreamPort>();
  for (const entry of config.upstreams) {
    const credential = await openSource(entry, openCredential, deps);
    const destination = destinationOf(entry);
    opened.set(entry.name, { upstream: openUpstream(entry, config, deps), destination, credential });
  }
  return opened;
}

const PORTS: Readonly<Record<string, number>> = { 'http:': 80, 'https:': 443 };

function destinationOf({ transport }: UpstreamConfig): Destination {
  if (transport.kind === 'stdio') return { scheme: 'stdio' };
  const { protocol, hostname, port } = new URL(transport.url);
  const number = port === '' ? PORTS[protocol] : Number(port);
  return { scheme: protocol.slice(0, -1), host: hostname, ...(number === undefined ? {} : { port: number }) };
}

async function openSource(
  entry: UpstreamConfig,
  openCredential: OpenCredential,
  deps: Deps & CredentialDeps,
): Promise<CredentialSource> {
  const { credential, transport, name } = entry;
  if (credential.kind === 'none') return NO_CREDENTIAL;
  if (credential.kind === 'call-token')
    return callTokenSource(credential.audience ?? (transport.kind === 'http' ? transport.url : ''), deps);
  if (credential.kind === 'static')
    deps.log.warn({ upstream: name }, 'upstream gets a static secret, the same for every run');
  return openCredential(entry, deps);
}

function openUpstream(
  { name, transport, timeoutSeconds, credential }: UpstreamConfig,
  config: Config,
  deps: Deps,
): Upstream {
  const bounds = { name, timeoutMs: timeoutSeconds * 1000, resultBytes: config.limits.resultBytes };
  if (transport.kind === 'http') return openHttpUpstream({ ...bounds, url: transport.url });
  const { command, args, env, cwd, streamSeconds } = transport;
  const rotation = streamSeconds === undefined ? {} : { streamMs: streamSeconds * 1000 };
  const { PATH, HOME } = process.env;
  return openStdioUpstream(
    {
      ...bounds,
      ...rotation,
      command,
      args,
      env,
      inherited: { PATH, HOME },
      takesCredential: credential.kind !== 'none',
      ...(cwd === undefined ? {} : { cwd }),
    },
    { now: deps.now, log: deps.log.child({ upstream: name }) },
  );
}
