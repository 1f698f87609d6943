import { expect, it } from 'vitest';
import { lift, listStops, revoke, type StopOptions } from '../../src/cli/stops.ts';
import { openFleet } from '../support/fleet.ts';
import { startHoldServer } from '../support/hold-server.ts';

it('throws, shows and lifts kill switches, and ends single runs, from the command line', async () => {
  await using upstream = await startHoldServer();
  await using fleet = await openFleet({ upstreamUrl: upstream.url, state: [{ kind: 'embedded' }] });
  const [member] = fleet.members;
  if (member === undefined) throw new Error('one gateway');
  const lines: string[] = [];
  const out = (line: string): void => void lines.push(line);
  const say = (scope: string, name?: string): StopOptions => ({
    scope,
    name,
    config: member.configFile,
    reason: 'a reason',
    out,
  });
  const [one, other] = [await fleet.agents.open(member), await fleet.agents.open(member)];

  await revoke(say('run', one.run));
  expect(lines.splice(0)).toEqual([`revoked ${one.run}`]);
  await revoke(say('agent', 'lab-agent'));
  expect(lines.splice(0)).toEqual(['stopped agent lab-agent; 1 live run ended', `  ${other.run}`]);
  await listStops({ config: member.configFile, out });
  expect(lines.splice(0)[0]).toMatch(/^agent lab-agent {2}since \S+ {2}by operator {2}a reason$/);
  await lift(say('agent', 'lab-agent'));
  await listStops({ config: member.configFile, out });
  expect(lines.splice(0)).toEqual(['lifted agent lab-agent', '0 thrown kill switches']);

  await expect(lift(say('agent', 'lab-agent'))).rejects.toThrow('this kill switch is not thrown');
  await expect(revoke(say('agent', 'nobody'))).rejects.toThrow('no agent has this name');
  await expect(revoke(say('everything'))).rejects.toThrow('say "agent NAME"');
  await expect(revoke(say('all', 'lab-agent'))).rejects.toThrow('say "agent NAME"');
  await expect(revoke(say('run'))).rejects.toThrow('revoke run needs a run id');
});
