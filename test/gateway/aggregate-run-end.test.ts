import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openLogReader } from '../../src/storage/index.ts';
import { postAll } from '../support/aggregate-post.ts';
import { changingUpstream } from '../support/changing-server.ts';
import { LEGACY_HEADERS, modern } from '../support/mcp-post.ts';
import { type Lab, openLab } from '../support/open-lab.ts';
import { openRawSession } from '../support/raw-session.ts';
import { startTalkingServer, type TalkingServer } from '../support/talking-server.ts';

let desk: TalkingServer;
let lab: Lab;
beforeAll(async () => {
  desk = await startTalkingServer('desk');
  lab = await openLab({ upstreams: [changingUpstream(desk, 'desk')] });
});
afterAll(async () => {
  await lab[Symbol.asyncDispose]();
  await desk[Symbol.asyncDispose]();
});

describe('the end of a run at the aggregate endpoint', () => {
  it('is the last that is permitted in it, whatever is being answered, joined or listened to', async () => {
    const { message, headers } = modern('subscriptions/listen', {
      notifications: { toolsListChanged: true },
    });
    for (let round = 0; round < 4; round++) {
      const run = await lab.startRun();
      const session = await openRawSession(run, `${lab.publicUrl}/mcp`);
      const attempts = Array.from({ length: 4 }, (_, id) => [
        session.send({ id, method: 'tools/list' }),
        session.send({ id: `p${id}`, method: 'prompts/list' }),
        run.fetch(`${lab.publicUrl}/mcp`, {
          headers: { ...LEGACY_HEADERS, accept: 'text/event-stream', ...session.headers },
        }),
        postAll(run, lab, message, headers),
      ]).flat();
      const done = Promise.allSettled(
        attempts.map(async (attempt) =>
          (await attempt.catch(() => undefined))?.text().catch(() => undefined),
        ),
      );
      await sleep(round * 4);
      await run.end();
      await done;
      await sleep(50);
      using reader = openLogReader(lab.data);
      const types = reader.tree(run.id).map(({ type }) => type);
      const end = types.indexOf('run.close');
      expect(end).toBeGreaterThan(0);
      expect(types.slice(end)).not.toContain('intent');
      expect(types.filter((type) => type === 'intent')).toHaveLength(
        types.filter((type) => type === 'outcome').length,
      );
    }
  });
});
