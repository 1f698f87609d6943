import { describe, expect, it } from 'vitest';
import { parseUpstreamName, type UpstreamName } from '../../../src/base/index.ts';
import { createEventIds, createSessions } from '../../../src/gateway/mcp/index.ts';
import { FIRST_RUN, SECOND_RUN } from '../../support/start-endpoint.ts';

const FILES = parseUpstreamName('files') as UpstreamName;
const MAIL = parseUpstreamName('mail') as UpstreamName;

describe('sessions', () => {
  it('gives an id of its own, visible ASCII, with at least 128 random bits', () => {
    const sessions = createSessions({ now: () => 0 });
    const id = sessions.bind(FIRST_RUN, FILES, 'upstream-1');
    expect(id).toMatch(/^[\x21-\x7e]{22,64}$/);
    expect(id).not.toContain('upstream');
    expect(sessions.bind(FIRST_RUN, FILES, 'upstream-2')).not.toBe(id);
    expect(sessions.resolve(FIRST_RUN, FILES, id)).toBe('upstream-1');
  });

  it('gives the same id for the same session', () => {
    const sessions = createSessions({ now: () => 0 });
    expect(sessions.bind(FIRST_RUN, FILES, 's')).toBe(sessions.bind(FIRST_RUN, FILES, 's'));
    expect(sessions.size).toBe(1);
  });

  it('knows no id of another run or upstream', () => {
    const sessions = createSessions({ now: () => 0 });
    const id = sessions.bind(FIRST_RUN, FILES, 's');
    expect(sessions.resolve(SECOND_RUN, FILES, id)).toBeUndefined();
    expect(sessions.resolve(FIRST_RUN, MAIL, id)).toBeUndefined();
    expect(sessions.resolve(FIRST_RUN, FILES, 's')).toBeUndefined();
    expect(sessions.bind(SECOND_RUN, FILES, 's')).not.toBe(id);
    sessions.release(SECOND_RUN, id);
    expect(sessions.resolve(FIRST_RUN, FILES, id)).toBe('s');
  });

  it('forgets a released session and those of an ended run', () => {
    const sessions = createSessions({ now: () => 0 });
    const [one, two] = [sessions.bind(FIRST_RUN, FILES, '1'), sessions.bind(FIRST_RUN, FILES, '2')];
    const other = sessions.bind(SECOND_RUN, FILES, '3');
    sessions.release(FIRST_RUN, one);
    expect(sessions.resolve(FIRST_RUN, FILES, one)).toBeUndefined();
    sessions.end(FIRST_RUN);
    expect(sessions.resolve(FIRST_RUN, FILES, two)).toBeUndefined();
    expect(sessions.resolve(SECOND_RUN, FILES, other)).toBe('3');
    expect(sessions.size).toBe(1);
  });

  it('forgets the least used one of a run that opens too many', () => {
    let now = 0;
    const sessions = createSessions({ now: () => ++now });
    const ids = Array.from({ length: 64 }, (_, at) => sessions.bind(FIRST_RUN, FILES, `${at}`));
    sessions.resolve(FIRST_RUN, FILES, ids[0] ?? '');
    sessions.bind(FIRST_RUN, FILES, 'one more');
    expect(sessions.size).toBe(64);
    expect(sessions.resolve(FIRST_RUN, FILES, ids[0] ?? '')).toBe('0');
    expect(sessions.resolve(FIRST_RUN, FILES, ids[1] ?? '')).toBeUndefined();
  });

  it('forgets what nobody has used for a day', () => {
    let now = 0;
    const sessions = createSessions({ now: () => now });
    const id = sessions.bind(FIRST_RUN, FILES, 's');
    now = 24 * 60 * 60 * 1000;
    expect(sessions.resolve(FIRST_RUN, FILES, id)).toBe('s');
    now = 48 * 60 * 60 * 1000 + 1;
    expect(sessions.resolve(FIRST_RUN, FILES, id)).toBeUndefined();
  });
});

describe('event ids', () => {
  const ids = createEventIds(new Uint8Array(32).fill(1));

  it('open for the run and upstream they were sealed for, and no other', () => {
    const sealed = ids.seal(FIRST_RUN, FILES, 'stream_7');
    expect(ids.open(FIRST_RUN, FILES, sealed)).toBe('stream_7');
    expect(ids.open(SECOND_RUN, FILES, sealed)).toBeUndefined();
    expect(ids.open(FIRST_RUN, MAIL, sealed)).toBeUndefined();
    expect(createEventIds(new Uint8Array(32)).open(FIRST_RUN, FILES, sealed)).toBeUndefined();
  });

  it('do not open when changed, cut short, or never sealed', () => {
    const sealed = ids.seal(FIRST_RUN, FILES, 'stream_7');
    for (const forged of [
      `${sealed}0`,
      sealed.slice(0, -1),
      `A${sealed.slice(1)}`,
      'stream_7',
      '',
      sealed.slice(0, 10),
    ]) {
      expect(ids.open(FIRST_RUN, FILES, forged)).toBeUndefined();
    }
  });
});
