import { pino } from 'pino';
import { expect, it } from 'vitest';
import type { UpstreamName } from '../../../src/base/index.ts';
import { createEras } from '../../../src/gateway/bridge/index.ts';
import type { OwnCalls } from '../../../src/gateway/own-calls.ts';
import { describeServer, discoverModern } from '../../../src/gateway/upstream/describe.ts';
import {
  type Answer,
  type Spoken,
  type Upstream,
  UpstreamError,
} from '../../../src/gateway/upstream/index.ts';
import { NO_CREDENTIAL } from '../../../src/identity/index.ts';

const NEVER = new AbortController().signal;
const shop = 'shop' as UpstreamName;

/** An upstream that learns something when it is asked. */
function setUp(spoken: Spoken, learns: { describe?: Spoken | Error; discover?: Spoken | Error } = {}) {
  const asked: string[] = [];
  const time = { now: 1_000_000 };
  const learn = async (how: 'describe' | 'discover'): Promise<void> => {
    asked.push(how);
    const news = learns[how] ?? {};
    if (news instanceof Error) throw news;
    Object.assign(upstream, { spoken: { ...upstream.spoken, ...news } });
  };
  const upstream = {
    name: shop,
    spoken,
    describe: () => learn('describe'),
    discover: () => learn('discover'),
  };
  const port = { upstream: upstream as unknown as Upstream, credential: NO_CREDENTIAL };
  const ownCalls: OwnCalls = { during: (_name, _credential, act) => act(async () => ({})) };
  const eras = createEras({ ownCalls, now: () => time.now, log: pino({ level: 'silent' }) });
  return { asked, time, bridgeTo: (era: 'legacy' | 'modern') => eras.bridgeTo(port, era), upstream };
}

it('bridges only to what an upstream speaks, from what it has refused', async () => {
  const modern = setUp({ legacy: false, modern: '2026-07-28' });
  expect(await modern.bridgeTo('legacy')).toBe('2026-07-28');
  expect(modern.bridgeTo('modern')).toBeUndefined();
  const both = setUp({ legacy: '2025-11-25', modern: '2026-07-28' });
  expect(both.bridgeTo('legacy')).toBeUndefined();
  expect(both.bridgeTo('modern')).toBeUndefined();
  expect([...modern.asked, ...both.asked]).toEqual([]);
});

it('asks a legacy upstream once whether it speaks the modern era, when the first modern client comes', async () => {
  const { bridgeTo, asked } = setUp({ legacy: '2025-11-25' }, { discover: { modern: false } });
  expect(await Promise.all([bridgeTo('modern'), bridgeTo('modern'), bridgeTo('modern')])).toEqual(
    Array(3).fill('2025-11-25'),
  );
  expect(asked).toEqual(['discover']);
});

it('passes messages as they are while nobody knows, and does not ask again at once', async () => {
  const down = new UpstreamError({ reason: 'broken_off', detail: 'status 503' });
  const { bridgeTo, asked, time } = setUp({}, { describe: down });
  expect(await bridgeTo('modern')).toBeUndefined();
  expect(await bridgeTo('modern')).toBeUndefined();
  expect(await bridgeTo('legacy')).toBeUndefined();
  expect(asked).toEqual(['describe']);
  time.now += 11_000;
  expect(await bridgeTo('legacy')).toBeUndefined();
  expect(asked).toEqual(['describe', 'describe']);
});

it('asks again after a quarter of an hour, for servers learn', async () => {
  const { bridgeTo, asked, time } = setUp(
    { legacy: '2025-11-25', modern: false },
    { discover: { modern: '2026-07-28' } },
  );
  expect(await bridgeTo('modern')).toBe('2025-11-25');
  time.now += 901_000;
  expect(await bridgeTo('modern')).toBe('2025-11-25'); // nobody waits for the answer
  await new Promise((done) => setImmediate(done));
  expect(asked).toEqual(['discover']);
  expect(bridgeTo('modern')).toBeUndefined();
});

const refusal = (status: number): Answer => ({
  status,
  body: { kind: 'message', message: { jsonrpc: '2.0', id: 1, error: { code: -32601, message: 'no' } } },
});
const failure =
  (reason: 'credential_refused' | 'broken_off' | 'timeout' | 'not_mcp') => async (): Promise<Answer> => {
    throw new UpstreamError({ reason, detail: 'test' });
  };

it('takes a refusal for evidence, and trouble for none', async () => {
  expect(await discoverModern(async () => refusal(404), NEVER)).toBe(false);
  expect(await discoverModern(async () => refusal(200), NEVER)).toBe(false);
  expect(await discoverModern(failure('not_mcp'), NEVER)).toBe(false);
  await expect(discoverModern(async () => refusal(503), NEVER)).rejects.toThrow('503');
  await expect(discoverModern(failure('credential_refused'), NEVER)).rejects.toThrow('credential_refused');
  await expect(discoverModern(failure('broken_off'), NEVER)).rejects.toThrow('broken_off');
});

it('does not take a server in trouble for one that has given up sessions', async () => {
  const discovered = { supportedVersions: ['2026-07-28'], capabilities: {} };
  const send =
    (status: number) =>
    async ({ message }: { message?: Record<string, unknown> }): Promise<Answer> =>
      message?.['method'] === 'initialize'
        ? refusal(status)
        : { status: 200, body: { kind: 'message', message: { jsonrpc: '2.0', id: 1, result: discovered } } };
  expect((await describeServer(send(400), NEVER)).spoken).toEqual({ legacy: false, modern: '2026-07-28' });
  expect((await describeServer(send(503), NEVER)).spoken).toEqual({ modern: '2026-07-28' });
});
