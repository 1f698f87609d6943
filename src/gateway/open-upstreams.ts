import type { Logger } from 'pino';
import type { Clock, UpstreamName } from '../base/index.ts';
import type { UpstreamPort } from './call/index.ts';
import type { Config, UpstreamConfig } from './config.ts';
import { openHttpUpstream, openStdioUpstream, type Upstream } from './upstream/index.ts';

/** Opens the upstreams of a configuration; none is contacted yet. */
export function openUpstreams(
  config: Config,
  deps: { readonly now: Clock; readonly log: Logger },
): ReadonlyMap<UpstreamName, UpstreamPort> {
  return new Map(
    config.upstreams.map((entry) => [
      entry.name,
      { upstream: openUpstream(entry, config, deps), credential: credentialOf(entry) },
    ]),
  );
}

function openUpstream(
  { name, transport, timeoutSeconds }: UpstreamConfig,
  config: Config,
  deps: { readonly now: Clock; readonly log: Logger },
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
      ...(cwd === undefined ? {} : { cwd }),
    },
    { now: deps.now, log: deps.log.child({ upstream: name }) },
  );
}

function credentialOf({ credential, transport }: UpstreamConfig): UpstreamPort['credential'] {
  if (credential.kind === 'none' || transport.kind === 'stdio') return { kind: 'none' };
  return { kind: 'call-token', audience: credential.audience ?? transport.url };
}
