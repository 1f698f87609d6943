import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  type AuthorizationRequest,
  callHashOf,
  createPdp,
  type Explanation,
  type Pdp,
  type ToolSettings,
} from '../../src/cedar/index.ts';
import {
  callerOf,
  catalogueOf,
  MAIL_TOOLS,
  methodCall,
  NOW,
  objectOf,
  PERMIT_ALL,
  pinned,
  runOf,
  tool,
  toolCall,
} from '../support/cedar-fixtures.ts';

const FOLDER = join(import.meta.dirname, '../../examples/policies');
const TEXT = { type: 'string' };

const settings: Record<string, ToolSettings> = {
  send: { annotations: { capability: 'send-message' } },
};
const catalogue = catalogueOf(
  {
    mail: [...MAIL_TOOLS, tool('mystery', objectOf({ x: TEXT }))],
    files: [
      tool('read', objectOf({ path: TEXT }), { readOnlyHint: true }),
      tool('write', objectOf({ path: TEXT, content: TEXT }), { destructiveHint: false }),
      tool('delete', objectOf({ path: TEXT })),
    ],
  },
  { settings: { mail: settings } },
);

const sourcesOf = (pack: string) =>
  readdirSync(join(FOLDER, pack))
    .filter((file) => file.endsWith('.cedar'))
    .map((file) => ({ file, text: readFileSync(join(FOLDER, pack, file), 'utf8') }));

const packOf = (pack: string): Pdp =>
  createPdp({ catalogue, policies: [...sourcesOf(pack), { file: 'all', text: PERMIT_ALL }] });

const SEND = { to: ['ada@example.com'], body: 'hello' };
const send = (over: Parameters<typeof toolCall>[2] = {}, args = SEND) => toolCall('mail/send', args, over);
const search = (over: Parameters<typeof toolCall>[2] = {}) => toolCall('mail/search', { query: 'x' }, over);
const labelled = (...labels: string[]) => ({ facts: { labels } });
const deep = (depth: number) => ({ caller: callerOf(runOf({ depth })) });
/** Monday 2026-01-05, at an hour of UTC. */
const monday = (hour: number) => ({ now: Date.UTC(2026, 0, 5, hour) });

function carrying(labels: readonly string[]): Explanation {
  const facts = {
    worst: 'none',
    address: 'none',
    identifier: 'none',
    content: 'none',
    sources: [],
    labels,
  } as const;
  return { facts, arguments: [] };
}

type Row = [outcome: 'permit' | 'ask' | 'forbid', policies: string[], request: AuthorizationRequest];

/** At least one row for each policy of a pack, and one that it lets pass. */
const PACKS: Record<string, Row[]> = {
  'lethal-trifecta': [
    ['permit', [], send(labelled('untrusted'))],
    ['permit', [], search(labelled('private', 'untrusted'))],
    ['ask', ['trifecta.way-out'], send(labelled('private', 'untrusted'))],
    ['permit', [], { ...send(), provenance: carrying(['private']) }],
    ['permit', [], { ...search(), provenance: carrying(['secret']) }],
    ['forbid', ['trifecta.secret-leaves'], { ...send(), provenance: carrying(['secret']) }],
  ],
  'destructive-needs-approval': [
    ['permit', [], send()],
    ['ask', ['destructive.approval'], toolCall('files/delete', { path: '/x' })],
    ['permit', [], approved(toolCall('files/delete', { path: '/x' }), 9 * 60)],
    ['forbid', ['destructive.stale-approval'], approved(toolCall('files/delete', { path: '/x' }), 11 * 60)],
  ],
  environments: [
    ['permit', [], send()],
    ['forbid', ['environments.tools'], send({ caller: callerOf(runOf({ environment: 'dev' })) })],
    ['permit', [], methodCall('mail', 'resources/read', { uri: 'x:y' })],
    [
      'forbid',
      ['environments.resources'],
      methodCall(
        'mail',
        'resources/read',
        { uri: 'x:y' },
        { caller: callerOf(runOf({ environment: 'dev' })) },
      ),
    ],
  ],
  'owner-required': [
    ['permit', [], send()],
    ['permit', [], search({ caller: callerOf(runOf({ owner: person('ada') })) })],
    ['forbid', ['owner.team-for-changes'], send({ caller: callerOf(runOf({ owner: person('ada') })) })],
    ['forbid', ['owner.nobody'], search({ caller: callerOf(runOf({ owner: person('') })) })],
  ],
  budget: [
    ['permit', [], search({ facts: { capabilityCalls: { pay: 150, unassigned: 49 }, denials: 29 } })],
    ['forbid', ['budget.calls'], search({ facts: { capabilityCalls: { pay: 150, unassigned: 50 } } })],
    ['forbid', ['budget.calls'], search({ facts: { capabilityCalls: { '*': 150, pay: 50 } } })],
    ['forbid', ['budget.calls'], search()],
    ['permit', [], send({ facts: { capabilityCalls: { 'send-message': 19 } } })],
    ['ask', ['budget.changes'], send({ facts: { capabilityCalls: { 'send-message': 20 } } })],
    ['forbid', ['budget.denials'], search({ facts: { capabilityCalls: {}, denials: 30 } })],
  ],
  'office-hours': [
    ['permit', [], send(monday(8))],
    ['ask', ['office-hours.changes'], send(monday(7))],
    ['ask', ['office-hours.changes'], send(monday(18))],
    ['ask', ['office-hours.changes'], send()],
    ['permit', [], search()],
  ],
  'delegation-depth': [
    ['permit', [], send(deep(1))],
    ['permit', [], search(deep(2))],
    ['ask', ['delegation.way-out'], send(deep(2))],
    ['forbid', ['delegation.depth'], search(deep(3))],
  ],
  'unreviewed-tools': [
    ['permit', [], send()],
    ['permit', [], search()],
    ['ask', ['unreviewed.changes'], toolCall('files/write', { path: '/x', content: 'y' })],
    ['forbid', ['unreviewed.destructive'], toolCall('mail/mystery', { x: 'y' })],
  ],
  'path-envelope': [
    ['permit', [], toolCall('files/read', { path: '/workspace/a/../b' })],
    ['permit', [], search()],
    ['forbid', ['paths.envelope'], toolCall('files/read', { path: '/workspaces/b' })],
    ['forbid', ['paths.envelope'], toolCall('files/read', { path: '/workspace/../etc/passwd' })],
    ['forbid', ['paths.detours'], toolCall('files/read', { path: '/workspace/%2e%2e/%2e%2e/etc/passwd' })],
  ],
  'domain-envelope': [
    ['permit', [], send()],
    ['permit', [], send({}, { to: ['a@sub.example.com', 'b@EXAMPLE.com'], body: '' })],
    ['ask', ['domains.envelope'], send({}, { to: ['a@example.com', 'b@evil.example'], body: '' })],
    ['ask', ['domains.envelope'], send({}, { to: ['a@example.com'], body: 'https://evil.example/?x' })],
    ['ask', ['domains.envelope'], send({}, { to: ['a@example.com.evil.example'], body: '' })],
  ],
};

function person(name: string) {
  return { kind: 'person', name, contact: 'x' } as const;
}

function approved(request: AuthorizationRequest, secondsAgo: number): AuthorizationRequest {
  const callHash = callHashOf(request.caller.chain[0].id, pinned(request.target, catalogue));
  return { ...request, approval: { by: 'ada', at: NOW - secondsAgo * 1_000, callHash } };
}

describe.each(Object.entries(PACKS))('the pack %s', (name, rows) => {
  it.each(rows.map((row, i) => [i, ...row] as const))('row %i: %s %j', (_i, effect, policies, request) => {
    const decision = packOf(name).decide(request);
    expect(decision).toMatchObject({ effect });
    if (effect === 'permit') return;
    expect(decision.policies).toEqual(expect.arrayContaining(policies));
  });

  it('is tried with every policy it has', () => {
    const ids = sourcesOf(name).flatMap(({ text }) =>
      [...text.matchAll(/@id\("(.+?)"\)/g)].map(([, id]) => id),
    );
    expect([...new Set(rows.flatMap(([, policies]) => policies))].sort()).toEqual(ids.sort());
  });
});

describe('every pack', () => {
  const packs = readdirSync(FOLDER);

  it.each(Object.keys(PACKS))(
    '%s names no tool, and says who owns each rule, how bad a breach is and why',
    (pack) => {
      for (const { file, text } of sourcesOf(pack)) {
        expect(text, file).not.toMatch(/Action::"[^"]*\/[^"]*"(?<!method:[^"]*")/);
        const policies = text.split('@id(').slice(1);
        for (const policy of policies) {
          for (const annotation of ['@owner(', '@severity(', '@reason('])
            expect(policy).toContain(annotation);
        }
      }
    },
  );

  it('is valid for any catalogue, also one without tools, and beside all others', () => {
    const all = packs.flatMap((pack) => sourcesOf(pack));
    expect(() => createPdp({ catalogue: catalogueOf({}), policies: all })).not.toThrow();
    expect(() => createPdp({ catalogue, policies: all })).not.toThrow();
  });

  it('of forbids permits nothing by itself', () => {
    const policies = [...Object.keys(PACKS), 'starter'].flatMap((pack) => sourcesOf(pack));
    const pdp = createPdp({ catalogue, policies });
    expect(pdp.decide(search()).effect).toBe('forbid');
    expect(pdp.decide(send()).effect).toBe('forbid');
  });
});
