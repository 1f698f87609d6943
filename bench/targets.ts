import type { Address } from './load-protocol.ts';
import { announcedPort, type NodeChild, startNode } from './node-child.ts';
import { startSallyport } from './sallyport-target.ts';

/** Everything that can be measured, in the order of the table. */
export const targetNames = ['direct', 'node-proxy', 'sdk-proxy', 'sallyport', 'sallyport-uncached'] as const;

export type TargetName = (typeof targetNames)[number];

/** All ratios are to this target of the same run. */
export const YARDSTICK: TargetName = 'node-proxy';

/** A running target: where to call it and whose cost to count. */
export type Target = AsyncDisposable & {
  readonly name: TargetName;
  readonly address: Address;
  readonly pid: number;
};

/** The upstream as targets see it. */
export type RunningUpstream = AsyncDisposable & { readonly url: string; readonly pid: number };

/** Starts the MCP server that stands behind all targets. */
export async function startUpstream(): Promise<RunningUpstream> {
  const child = startNode('bench/upstream.ts', []);
  const url = `http://127.0.0.1:${await announcedPort(child)}/mcp`;
  return { url, pid: child.pid, [Symbol.asyncDispose]: () => child[Symbol.asyncDispose]() };
}

/** Starts one target in a process of its own. `nodeFlags` go to that process. */
export async function startTarget(
  name: TargetName,
  upstream: RunningUpstream,
  nodeFlags: readonly string[],
): Promise<Target> {
  switch (name) {
    case 'direct':
      return {
        name,
        address: { name, url: upstream.url },
        pid: upstream.pid,
        [Symbol.asyncDispose]: async () => undefined,
      };
    case 'node-proxy':
      return proxyTarget(name, startNode('bench/bare-proxy.ts', [upstream.url], nodeFlags));
    case 'sdk-proxy':
      return proxyTarget(name, startNode('bench/sdk-proxy.ts', [upstream.url], nodeFlags));
    case 'sallyport':
      return { name, ...(await startSallyport(name, upstream.url, 'cacheable', nodeFlags)) };
    case 'sallyport-uncached':
      return { name, ...(await startSallyport(name, upstream.url, 'uncacheable', nodeFlags)) };
  }
}

async function proxyTarget(name: TargetName, child: NodeChild): Promise<Target> {
  const address = { name, url: `http://127.0.0.1:${await announcedPort(child)}/mcp` };
  return { name, address, pid: child.pid, [Symbol.asyncDispose]: () => child[Symbol.asyncDispose]() };
}
