import { generateKeyPairSync } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { freePort } from '../examples/upstreams/everything.ts';
import type { Address, RunGrant } from './load-protocol.ts';
import { type NodeChild, startNode } from './node-child.ts';
import { type Decisions, gatewayConfig, policyText } from './sallyport-config.ts';

/** The gateway as a target. Disposing ends it and removes its folder. */
export type RunningSallyport = AsyncDisposable & { readonly address: Address; readonly pid: number };

const START_PATIENCE_MILLISECONDS = 20_000;

/** Starts the real gateway with everything on, in front of `upstreamUrl`, with a data folder of its own. */
export async function startSallyport(
  name: string,
  upstreamUrl: string,
  decisions: Decisions,
  nodeFlags: readonly string[],
): Promise<RunningSallyport> {
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-bench-'));
  const [agentPort, adminPort] = [await freePort(), await freePort()];
  const base = `http://127.0.0.1:${agentPort}`;
  const grant = createGrant(base);
  const config = gatewayConfig({ folder, base, agentPort, adminPort, upstreamUrl, grant });
  await mkdir(join(folder, 'policies'));
  await writeFile(join(folder, 'policies', 'bench.cedar'), policyText(decisions));
  await writeFile(join(folder, 'jwks.json'), JSON.stringify({ keys: [publicHalf(grant.issuerKey)] }));
  await writeFile(join(folder, 'config.json'), JSON.stringify(config));
  // As the first line of the program and `npm run sallyport` have it.
  const flags = ['--max-semi-space-size=16', '--conditions=sallyport-source', ...nodeFlags];
  const args = ['serve', '--config', join(folder, 'config.json')];
  const child = startNode('src/cli/main.ts', args, flags, { MALLOC_ARENA_MAX: '2' });
  const stop = async () => {
    await child[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await untilHealthy(child, base);
  } catch (error) {
    await stop();
    throw error;
  }
  const address = { name, url: `${base}/mcp/bench`, grant };
  return { address, pid: child.pid, [Symbol.asyncDispose]: stop };
}

async function untilHealthy(child: NodeChild, base: string): Promise<void> {
  let said = '';
  child.process.stdout?.on('data', (chunk: Buffer) => {
    if (said.length < 2000) said += chunk.toString();
  });
  const deadline = performance.now() + START_PATIENCE_MILLISECONDS;
  while (performance.now() < deadline && child.process.exitCode === null) {
    const healthy = await fetch(`${base}/readyz`).then(
      (response) => response.ok,
      () => false,
    );
    if (healthy) return;
    await pause(20);
  }
  throw new Error(`the gateway did not become healthy: ${said.slice(0, 2000)}${child.complaints()}`);
}

function createGrant(base: string): RunGrant {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return {
    tokenUrl: `${base}/oauth/token`,
    resource: `${base}/mcp`,
    issuer: 'https://issuer.bench.example',
    subject: 'bench-workload',
    audience: base,
    purpose: 'bench',
    issuerKey: { ...privateKey.export({ format: 'jwk' }), kid: 'bench-1' },
  };
}

function publicHalf({ kty, crv, x, y, kid }: RunGrant['issuerKey']) {
  return { kty, crv, x, y, kid, alg: 'ES256', use: 'sig' };
}
