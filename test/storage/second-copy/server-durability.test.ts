import { expect, it } from 'vitest';
import { judgeServer, parseInfo } from '../../../src/storage/second-copy/index.ts';

const INFO = '# Replication\r\nrole:master\r\n# Persistence\r\naof_last_write_status:ok\r\n';
const CONFIG: readonly (readonly [string, string])[] = [
  ['appendonly', 'yes'],
  ['appendfsync', 'always'],
  ['no-appendfsync-on-rewrite', 'no'],
  ['maxmemory-policy', 'noeviction'],
];
const facts = (info: string, config: readonly (readonly [string, string])[] | undefined) => ({
  info: parseInfo(info),
  config: config && new Map(config),
});

it('takes a server that syncs each write', () => {
  expect(judgeServer(facts(INFO, CONFIG), false).ok).toBe(true);
});

it.each([
  ['appendonly', 'no'],
  ['appendfsync', 'everysec'],
  ['no-appendfsync-on-rewrite', 'yes'],
  ['maxmemory-policy', 'allkeys-lru'],
])('refuses %s %s and names it', (name, value) => {
  const config = CONFIG.map(([key, good]) => [key, key === name ? value : good] as const);
  expect(judgeServer(facts(INFO, config), false)).toMatchObject({ error: expect.stringContaining(name) });
  const without = CONFIG.filter(([key]) => key !== name);
  if (name !== 'maxmemory-policy') expect(judgeServer(facts(INFO, without), true).ok).toBe(false);
});

it('refuses what cannot be written to, or failed to write', () => {
  const replica = INFO.replace('master', 'slave');
  expect(judgeServer(facts(replica, CONFIG), true).ok).toBe(false);
  expect(judgeServer(facts('', CONFIG), true).ok).toBe(false);
  expect(judgeServer(facts(INFO.replace(':ok', ':err'), CONFIG), true).ok).toBe(false);
});

it('takes a server that hides its settings only when that is permitted', () => {
  expect(judgeServer(facts(INFO, undefined), false)).toMatchObject({
    error: expect.stringContaining('log.remote.managed'),
  });
  expect(judgeServer(facts(INFO, undefined), true).ok).toBe(true);
});
