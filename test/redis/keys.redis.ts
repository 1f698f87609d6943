import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { noticeKeyOf } from '../../src/identity/index.ts';
import { signNotice } from '../../src/identity/key-notice.ts';
import {
  askAdmin,
  type FleetRun,
  type FleetSetting,
  type Member,
  prepareFleet,
  sharedState,
} from '../support/fleet.ts';
import { type GatewayProcess, startGatewayProcess } from '../support/gateway-process.ts';
import { type HoldServer, startHoldServer } from '../support/hold-server.ts';
import { childrenWith } from '../support/processes.ts';
import { type RedisServer, startRedisServer } from '../support/redis-server.ts';

const NOTICES = '{sallyport}:notices';

let upstream: HoldServer;
let server: RedisServer;
let redis: Redis;
let fleet: FleetSetting;
let a: Member;
let b: Member;
const processes = new Map<Member, GatewayProcess>();

/** Two gateways, each a process with keys of its own. */
beforeAll(async () => {
  upstream = await startHoldServer();
  server = await startRedisServer();
  redis = server.client();
  const state = sharedState(server.url, 2, { timeoutMillis: 1500 });
  fleet = await prepareFleet({ upstreamUrl: upstream.url, state, ownKeys: true });
  const [one, two] = fleet.members;
  if (one === undefined || two === undefined) throw new Error('two gateways');
  [a, b] = [one, two];
  await start(a);
  await start(b);
});
afterAll(async () => {
  for (const gateway of processes.values()) await gateway.kill();
  fleet[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
});

async function start(member: Member): Promise<void> {
  processes.set(member, await startGatewayProcess(member.configFile, member.agentUrl));
}

const status = async (run: FleetRun, member: Member): Promise<number> => {
  const answer = await run.call(member, 'echo');
  await answer.arrayBuffer();
  return answer.status;
};

type Entry = { kid: string; state: string; gateway?: string };
const keysOf = async (member: Member): Promise<Entry[]> =>
  (await askAdmin(member, '/v1/keys')).body['keys'] as Entry[];
const kidOf = async (member: Member, state: string): Promise<string> =>
  (await keysOf(member)).find((key) => key.state === state && key.gateway === undefined)?.kid ?? '';
const published = async ({ agentUrl }: Member): Promise<string[]> => {
  const set = (await (await fetch(`${agentUrl}/.well-known/jwks.json`)).json()) as { keys: Entry[] };
  return set.keys.map(({ kid }) => kid).sort();
};
const kidIn = (run: FleetRun): string =>
  (JSON.parse(Buffer.from(run.token.split('.')[0] ?? '', 'base64url').toString()) as { kid: string }).kid;

describe('two gateways with keys of their own', () => {
  it('accept what the other signed, at once, and publish the same set', async () => {
    expect(await published(a)).toEqual(await published(b));
    expect(await published(a)).toHaveLength(4);
    expect(await kidOf(a, 'active')).not.toBe(await kidOf(b, 'active'));
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      const run = await fleet.agents.open(from);
      expect(kidIn(run)).toBe(await kidOf(from, 'active'));
      expect(await status(run, to)).toBe(200);
      const child = await fleet.agents.delegate(await fleet.agents.open(from, { max_depth: 1 }), from, to);
      expect(await status(child, from)).toBe(200);
    }
  });

  it('rotate one after the other while calls go to both, and no good call is refused', async () => {
    const runs = await Promise.all([a, b, a, b].map((member) => fleet.agents.open(member)));
    const tally = { calls: 0, bad: [] as number[] };
    let isOver = false;
    const callers = runs.map(async (run, i) => {
      for (let round = i; !isOver; round++) {
        const answered = await status(run, round % 2 === 0 ? a : b);
        tally.calls++;
        if (answered !== 200) tally.bad.push(answered);
      }
    });
    const until = async (calls: number): Promise<void> => {
      while (tally.calls < calls) await new Promise((resolve) => setTimeout(resolve, 5));
    };
    await until(20);
    for (const [at, other] of [
      [a, b],
      [b, a],
    ] as const) {
      const before = await kidOf(at, 'active');
      const rotated = await askAdmin(at, '/v1/keys/rotate', {});
      expect(rotated.status).toBe(200);
      expect(await kidOf(at, 'active')).not.toBe(before);
      const fresh = await fleet.agents.open(at); // signed by the new key
      expect(kidIn(fresh)).not.toBe(before);
      expect(await status(fresh, other)).toBe(200);
      expect(await published(at)).toEqual(await published(other)); // the rotation is acknowledged when all know it
      await until(tally.calls + 20);
    }
    isOver = true;
    await Promise.all(callers);
    expect(tally.bad).toEqual([]);
  });

  it('remember the keys of one that is gone, also over a restart', async () => {
    const run = await fleet.agents.open(a);
    await processes.get(a)?.kill();
    await processes.get(b)?.kill();
    await start(b);
    expect(await status(run, b)).toBe(200);
    await start(a);
    expect(await status(run, a)).toBe(200);
  });
});

describe('whoever can write to Redis', () => {
  type Pair = { privateKey: KeyObject; jwk: { kty: 'EC'; crv: 'P-256'; x: string; y: string }; kid: string };
  const newPair = (): Pair => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const { x = '', y = '' } = publicKey.export({ format: 'jwk' });
    const text = `{"crv":"P-256","kty":"EC","x":"${x}","y":"${y}"}`;
    return {
      privateKey,
      jwk: { kty: 'EC', crv: 'P-256', x, y },
      kid: createHash('sha256').update(text).digest('base64url'),
    };
  };

  /** The token of a run that lives, signed anew by somebody else. */
  function forge(run: FleetRun, { kid, privateKey }: Pair): string {
    const [, claims = ''] = run.token.split('.');
    const header = Buffer.from(JSON.stringify({ alg: 'ES256', typ: 'at+jwt', kid })).toString('base64url');
    const input = Buffer.from(`${header}.${claims}`);
    const signature = sign('sha256', input, { key: privateKey, dsaEncoding: 'ieee-p1363' });
    return `${input.toString()}.${signature.toString('base64url')}`;
  }

  const callWith = async (token: string, run: FleetRun, { agentUrl }: Member): Promise<number> => {
    const url = `${fleet.publicUrl}/mcp/hold`;
    const answer = await fetch(`${agentUrl}/mcp/hold`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'mcp-protocol-version': '2025-11-25',
        authorization: `DPoP ${token}`,
        dpop: run.key.prove({ url, token }),
      },
      body: JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        method: 'tools/call',
        params: { name: 'echo', arguments: { mark: '' } },
      }),
    });
    await answer.arrayBuffer();
    return answer.status;
  };

  const wake = async (): Promise<void> => {
    await redis.incr('{sallyport}:notices-version');
    await redis.publish('{sallyport}:told', JSON.stringify({ kind: 'keys', from: 'evil', number: 0 }));
    await new Promise((resolve) => setTimeout(resolve, 1200)); // two beats
  };

  const noticeOf = (pair: Pair, gateway: string) => ({
    issuer: fleet.publicUrl,
    gateway,
    at: Date.now(),
    sequence: 1_000,
    keys: [{ kid: pair.kid, state: 'active', createdAt: 0, jwk: pair.jwk } as const],
    removed: new Map(),
  });

  it('A4: adds no key: a token by a planted one is refused everywhere, and it is not published', async () => {
    const run = await fleet.agents.open(a);
    const pair = newPair();
    const token = forge(run, pair);
    const guessed = noticeKeyOf({
      key: (await import('node:crypto')).createSecretKey(Buffer.alloc(32)),
      source: '',
    });
    const forged = signNotice(noticeOf(pair, 'evil'), guessed);
    const real = await redis.hgetall(NOTICES);
    const [, mac = ''] = (real['gw-0'] ?? '').split('.');
    await redis.hset(NOTICES, {
      evil: forged,
      'gw-0': `${forged.split('.')[0]}.${mac}`,
      'gw-1': '{"keys":[]}',
      copied: real['gw-1'] ?? '',
    });
    await wake();
    for (const member of [a, b]) {
      expect(await callWith(token, run, member)).toBe(401);
      expect(await published(member)).not.toContain(pair.kid);
      expect(await published(member)).toHaveLength((await published(a)).length);
      expect(await status(run, member)).toBe(200); // and takes none away
    }
    // The same notice by who has the key of the gateways: it would have been believed.
    if (fleet.sealingKey === undefined) throw new Error('no key');
    await redis.hset(NOTICES, { evil: signNotice(noticeOf(pair, 'evil'), noticeKeyOf(fleet.sealingKey)) });
    await wake();
    expect(await callWith(token, run, b)).toBe(200);
    await askAdmin(a, `/v1/keys/${pair.kid}/remove`, {});
    expect(await callWith(token, run, b)).toBe(401);
  });

  it('A4: brings no key back that was removed, and keeps none from being removed', async () => {
    const run = await fleet.agents.open(a);
    expect(await status(run, b)).toBe(200);
    const before = await redis.hgetall(NOTICES);
    const stolen = await kidOf(a, 'active');
    expect(kidIn(run)).toBe(stolen);
    const removed = await askAdmin(b, `/v1/keys/${stolen}/remove`, {}); // at the one that does not have it
    expect(removed.status).toBe(200);
    for (const member of [a, b]) expect(await status(run, member)).toBe(401); // at once
    expect(await kidOf(a, 'active')).not.toBe(stolen);
    await redis.hset(NOTICES, before);
    await wake();
    for (const member of [a, b]) {
      expect(await status(run, member)).toBe(401);
      expect(await published(member)).not.toContain(stolen);
    }
    const fresh = await fleet.agents.open(a);
    for (const member of [a, b]) expect(await status(fresh, member)).toBe(200);
  });
});

describe('a gateway that stood still while a key was removed', () => {
  it('does not accept what the key signed when it goes on', async () => {
    const run = await fleet.agents.open(a);
    const [pid] = childrenWith(b.configFile);
    if (pid === undefined) throw new Error('no process');
    process.kill(pid, 'SIGSTOP');
    let waiting: Promise<number>;
    try {
      waiting = status(run, b); // in its socket, unread
      const answer = await askAdmin(a, `/v1/keys/${kidIn(run)}/remove`, {});
      expect(answer.status).toBe(200);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    expect([401, 503]).toContain(await waiting);
    await expect.poll(() => status(run, b), { timeout: 10_000 }).toBe(401);
  });
});
