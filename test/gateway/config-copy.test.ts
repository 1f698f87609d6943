import { expect, it } from 'vitest';
import { copyProblems, SecondCopyEntry } from '../../src/gateway/config-copy.ts';

const remote = (over: object = {}) =>
  SecondCopyEntry.parse({ url: 'rediss://redis.example.org:6379', ...over });
const witnesses = [{}];

it('takes a second copy over TLS, and over loopback without', () => {
  expect(copyProblems({ ack: 'local+remote', remote: remote(), witnesses: [] })).toEqual([]);
  const loopback = remote({ url: 'redis://127.0.0.1:6379' });
  expect(copyProblems({ ack: 'local+remote', remote: loopback, witnesses: [] })).toEqual([]);
});

it('refuses a copy that is promised and not there, and one that is there and not used', () => {
  expect(copyProblems({ ack: 'local+remote', witnesses: [] })).toEqual([
    'log.remote: must be there for log.ack "local+remote"',
  ]);
  expect(copyProblems({ ack: 'local', remote: remote(), witnesses: [] })[0]).toMatch(
    /^log\.remote: has no effect/,
  );
});

it('refuses records in the clear beyond loopback, and passwords in the file', () => {
  const open = remote({ url: 'redis://redis.example.org:6379' });
  expect(copyProblems({ ack: 'local+remote', remote: open, witnesses: [] })[0]).toContain('rediss://');
  const secret = remote({ url: 'rediss://:hunter2@redis.example.org' });
  const problems = copyProblems({ ack: 'local+remote', remote: secret, witnesses: [] });
  expect(problems[0]).toContain('SALLYPORT_LOG_REDIS_PASSWORD');
  expect(problems.join()).not.toContain('hunter2');
});

it('lets records go only when somebody can confirm them', () => {
  const trimmed = remote({ keep: 'unwitnessed' });
  expect(copyProblems({ ack: 'local+remote', remote: trimmed, witnesses: [] })[0]).toContain('log.witnesses');
  expect(copyProblems({ ack: 'local+remote', remote: trimmed, witnesses })).toEqual([]);
});
