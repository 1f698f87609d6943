import { describe, expect, it } from 'vitest';
import type { AuthorizationRequest } from '../../src/cedar/index.ts';
import type { SpiffeId, ToolPattern } from '../../src/identity/index.ts';
import {
  CATALOGUE,
  callerOf,
  catalogueOf,
  MAIL_TOOLS,
  methodCall,
  NOW,
  outcome,
  PERMIT_ALL,
  pdpFor,
  runOf,
  toolCall,
  upstreamName,
} from '../support/cedar-fixtures.ts';

const SEARCH = (options: Parameters<typeof toolCall>[2] = {}) =>
  toolCall('mail/search', { query: 'x' }, options);
const forbid = (id: string, when: string, annotations = '') =>
  `@id("${id}") @reason("because of ${id}") ${annotations} forbid(principal, action, resource) when { ${when} };\n`;

describe('a decision', () => {
  it('permits with the determining policies, sorted, and the revision', () => {
    const pdp = pdpFor(
      '@id("z") permit(principal, action, resource); @id("b") permit(principal, action in Sallyport::Action::"readOnly", resource); @id("no") permit(principal, action, resource) when { context.run.calls > 5 };',
    );
    expect(pdp.decide(SEARCH())).toEqual({ effect: 'permit', policies: ['b', 'z'], revision: pdp.revision });
  });

  it('refuses by default, in the same words for a tool that is denied, unknown or without an upstream', () => {
    const pdp = pdpFor('@id("a") permit(principal, action == Sallyport::Action::"files/read", resource);');
    const denied = pdp.decide(SEARCH());
    expect(denied).toMatchObject({ effect: 'forbid', code: 'not_permitted', policies: [] });
    const seen = (request: AuthorizationRequest) => ({ ...pdp.decide(request), detail: undefined });
    expect(seen(toolCall('mail/nothing', {}))).toEqual({ ...denied, detail: undefined });
    expect(seen(toolCall('mail/constructor', {}))).toEqual({ ...denied, detail: undefined });
    expect(seen(toolCall('odd/search', {}))).toEqual({ ...denied, detail: undefined });
    expect(seen(methodCall('odd', 'tools/list'))).toEqual({ ...denied, detail: undefined });
  });

  it('does not tell by its words that a tool exists when no permit is about it', () => {
    const pdp = pdpFor(
      `@id("a") permit(principal, action == Sallyport::Action::"files/read", resource);
       @id("b") @reason("secret") forbid(principal, action == Sallyport::Action::"pay/transfer", resource) when { context.args.to == "x" };`,
    );
    const { detail: _, ...unknown } = pdp.decide(toolCall('pay/refund', {})) as { detail?: string };
    for (const args of [{ to: 'x', amount: 1, currency: 'EUR' }, { to: 5 }, {}]) {
      const { detail, ...known } = pdp.decide(toolCall('pay/transfer', args)) as { detail?: string };
      expect(known).toEqual(unknown);
      expect(detail).toContain('no permit');
    }
  });

  it('gives the reason of the most severe forbid, then of the first by id', () => {
    const pdp = pdpFor(
      `${PERMIT_ALL}${forbid('c', 'true', '@severity("low")')}${forbid('b', 'true')}${forbid('a', 'context.run.calls >= 0')}${forbid('d', 'true', '@severity("critical")')}`,
    );
    expect(pdp.decide(SEARCH())).toEqual({
      effect: 'forbid',
      code: 'forbidden_by_policy',
      policies: ['a', 'b', 'c', 'd'],
      reason: 'because of d',
      revision: pdp.revision,
    });
    expect(pdpFor(PERMIT_ALL + forbid('b', 'true') + forbid('a', 'true')).decide(SEARCH())).toMatchObject({
      reason: 'because of a',
    });
  });

  it('asks for approval only when every blocking forbid can be lifted by one and a permit would then count', () => {
    const approval = forbid('ask', 'context.run.calls > 0', '@obligation("require_approval")');
    const facts = { calls: 1 };
    const pdp = pdpFor(PERMIT_ALL + approval);
    expect(outcome(pdp.decide(SEARCH()))).toBe('permit');
    expect(pdp.decide(SEARCH({ facts }))).toMatchObject({
      code: 'approval_required',
      policies: ['ask'],
      reason: 'because of ask',
    });

    const hard = pdpFor(PERMIT_ALL + approval + forbid('hard', 'context.run.calls > 0', '@severity("low")'));
    expect(hard.decide(SEARCH({ facts }))).toMatchObject({
      code: 'forbidden_by_policy',
      policies: ['ask', 'hard'],
      reason: 'because of hard',
    });

    const useless = pdpFor(
      `${approval}@id("p") permit(principal, action, resource) when { context.run.calls == 0 };`,
    );
    expect(useless.decide(SEARCH({ facts }))).toMatchObject({ code: 'not_permitted', policies: ['ask'] });
  });

  it('knows methods, refuses unknown ones, and takes those an operator named only on their upstream', () => {
    const pdp = pdpFor(PERMIT_ALL);
    for (const method of [
      'initialize',
      'GET',
      'response',
      'tasks/update',
      'subscriptions/listen',
      'desk/ring',
    ]) {
      expect(outcome(pdp.decide(methodCall('mail', method))), method).toBe('permit');
    }
    for (const method of [
      'tools/call',
      'evil/method',
      'notifications/evil',
      '',
      'constructor',
      'method:ping',
      'Ping',
    ]) {
      expect(outcome(pdp.decide(methodCall('mail', method))), method).toBe('unknown_method');
    }
    const elsewhere = catalogueOf({ mail: MAIL_TOOLS });
    expect(outcome(pdpFor(PERMIT_ALL, elsewhere).decide(methodCall('mail', 'desk/ring')))).toBe(
      'unknown_method',
    );
  });

  it('puts methods in their groups', () => {
    const pdp = pdpFor(
      `@id("p") permit(principal, action in Sallyport::Action::"protocol", resource);
       @id("l") permit(principal, action in Sallyport::Action::"list", resource);
       @id("r") permit(principal, action in Sallyport::Action::"read", resource);`,
    );
    const by = (method: string) => pdp.decide(methodCall('mail', method)).policies.join();
    expect(['server/discover', 'notifications/cancelled', 'DELETE'].map(by)).toEqual(['p', 'p', 'p']);
    expect(['tools/list', 'resources/templates/list'].map(by)).toEqual(['l', 'l']);
    expect(['resources/subscribe', 'completion/complete', 'tasks/result'].map(by)).toEqual(['r', 'r', 'r']);
    expect(outcome(pdp.decide(methodCall('mail', 'desk/ring')))).toBe('not_permitted');
  });

  it('shows policies the address of a resource and the name of a prompt, or refuses', () => {
    const pdp = pdpFor(
      `${PERMIT_ALL}@id("f") @reason("r") forbid(principal, action in Sallyport::Action::"read", resource) when { (context has uri && context.uri like "file:*") || (context has name && context.name == "root") };`,
    );
    const read = (uri: unknown) => pdp.decide(methodCall('mail', 'resources/read', { uri: uri as string }));
    expect(outcome(read('mem://x'))).toBe('permit');
    expect(outcome(read('file:///etc'))).toBe('forbidden_by_policy');
    for (const uri of [
      null,
      5,
      ['file:///etc'],
      { __extn: { fn: 'unknown', arg: 'x' } },
      'file:\ud800',
      `file:${'x'.repeat(9_000)}`,
    ]) {
      expect(outcome(read(uri)), JSON.stringify(uri).slice(0, 40)).toBe('not_permitted');
    }
    expect(outcome(pdp.decide(methodCall('mail', 'prompts/get', { name: 'root' })))).toBe(
      'forbidden_by_policy',
    );
    expect(outcome(pdp.decide(methodCall('mail', 'prompts/get', { name: 'x', uri: 'file:///etc' })))).toBe(
      'permit',
    );
  });

  it('refuses a tool outside of the envelope before policy, for every link of the chain', () => {
    const pdp = pdpFor(PERMIT_ALL);
    const envelope = { ...runOf().envelope, tools: ['mail/send', 'files/*'] as ToolPattern[] };
    const narrow = runOf({ envelope });
    expect(outcome(pdp.decide(SEARCH({ caller: callerOf(narrow) })))).toBe('outside_envelope');
    expect(outcome(pdp.decide(SEARCH({ caller: callerOf(runOf(), narrow) })))).toBe('outside_envelope');
    expect(outcome(pdp.decide(toolCall('mail/none', {}, { caller: callerOf(narrow) })))).toBe(
      'outside_envelope',
    );
    expect(outcome(pdp.decide(toolCall('files/read', { path: '/' }, { caller: callerOf(narrow) })))).toBe(
      'permit',
    );
  });

  it('needs a permit for every link of a delegation chain, and says for which one it was missing', () => {
    const pdp = pdpFor(
      `@id("worker") permit(principal in Sallyport::Agent::"worker", action, resource);
       @id("boss") permit(principal in Sallyport::Agent::"boss", action in Sallyport::Action::"readOnly", resource);
       @id("deep") @reason("too deep") forbid(principal, action, resource) when { context.run.depth > 1 };`,
    );
    const boss = runOf({ agent: 'boss' });
    const worker = runOf({ agent: 'worker', depth: 1 });
    const send = (...chain: Parameters<typeof callerOf>) =>
      pdp.decide(toolCall('mail/send', { to: [], body: 'x' }, { caller: callerOf(...chain) }));
    expect(outcome(send(worker))).toBe('permit');
    expect(send(worker, boss)).toMatchObject({
      code: 'not_permitted',
      detail: expect.stringContaining(boss.spiffeId),
    });
    expect(pdp.decide(SEARCH({ caller: callerOf(worker, boss) }))).toMatchObject({
      policies: ['boss', 'worker'],
    });
    const grandchild = runOf({ agent: 'worker', depth: 2 });
    expect(pdp.decide(SEARCH({ caller: callerOf(grandchild, worker, boss) }))).toMatchObject({
      policies: ['deep'],
    });
  });

  it('reads the facts of the run, the time in UTC, and who owns it', () => {
    const conditions: [string, string][] = [
      [
        'context.now == datetime("2026-01-03T10:30:00.000Z")',
        'context.now > datetime("2026-01-03T10:30:00.000Z")',
      ],
      ['context.local.weekday == 6 && context.local.minute == 630', 'context.local.weekday == 7'],
      ['context.pop == "dpop" && context.credential == "call-token"', 'context.credential == "none"'],
      [
        'context.run.inFlight == 2 && context.run.labels == [Sallyport::Label::"pii"]',
        'context.run.labels.isEmpty()',
      ],
      [
        'context.intent.hasTask && context.intent.purpose == Sallyport::Purpose::"triage-inbox"',
        '!context.intent.hasTask',
      ],
      [
        'principal.owner == Sallyport::Owner::"team:support"',
        'principal.owner == Sallyport::Owner::"person:support"',
      ],
      [
        'principal.environment == resource.environment',
        'principal.environment == Sallyport::Environment::"dev"',
      ],
      [
        'resource == Sallyport::Tool::"mail/search" && resource in Sallyport::Upstream::"mail"',
        'resource in Sallyport::Upstream::"pay"',
      ],
    ];
    for (const [holds, fails] of conditions) {
      const pdp = pdpFor(
        `@id("yes") permit(principal, action == Sallyport::Action::"mail/search", resource) when { ${holds} };
         @id("no") permit(principal, action == Sallyport::Action::"mail/search", resource) when { ${fails} };`,
      );
      expect(pdp.decide(SEARCH({ facts: { inFlight: 2, labels: ['pii'] } })).policies, holds).toEqual([
        'yes',
      ]);
    }
  });

  it('asks the engine again when, and only when, something changes that a policy reads', () => {
    const pdp = pdpFor(
      `@id("p") permit(principal, action, resource);
       @id("owner") @reason("r") forbid(principal, action, resource) when { principal.owner == Sallyport::Owner::"team:evil" };
       @id("run") @reason("r") forbid(principal, action, resource) when { principal == Sallyport::AgentRun::"spiffe://test.example/agent/clerk/run/bad" };
       @id("time") @reason("r") forbid(principal, action, resource) when { context.now > datetime("2026-01-03T10:30:00.001Z") };
       @id("labels") @reason("r") forbid(principal, action, resource) when { context.run.labels.contains(Sallyport::Label::"secret") };
       @id("query") @reason("r") forbid(principal, action == Sallyport::Action::"mail/search", resource) when { context.args.query == "bad" };
       @id("intent") @reason("r") forbid(principal, action, resource) when { context.intent.purpose == Sallyport::Purpose::"monthly-payout" };`,
    );
    const by = (request: AuthorizationRequest) => pdp.decide(request).policies.join();
    for (let round = 0; round < 3; round++) {
      expect(by(SEARCH())).toBe('p');
      expect(
        by(SEARCH({ caller: callerOf(runOf({ owner: { kind: 'team', name: 'evil', contact: '-' } })) })),
      ).toBe('owner');
      const bad = runOf({ spiffeId: 'spiffe://test.example/agent/clerk/run/bad' as SpiffeId });
      expect(by(SEARCH({ caller: callerOf(bad) }))).toBe('run');
      expect(by(SEARCH({ now: NOW + 2 }))).toBe('time');
      expect(by(SEARCH({ facts: { labels: ['secret'] } }))).toBe('labels');
      expect(by(toolCall('mail/search', { query: 'bad' }))).toBe('query');
      expect(by(SEARCH({ caller: callerOf(runOf({ intent: { purpose: 'monthly-payout' } })) }))).toBe(
        'intent',
      );
    }
  });

  it('treats one name on two upstreams as two tools', () => {
    const twins = catalogueOf({ mail: MAIL_TOOLS, pay: MAIL_TOOLS });
    const pdp = pdpFor(
      `@id("p") permit(principal, action, resource);
       @id("f") @reason("r") forbid(principal, action, resource) when { resource in Sallyport::Upstream::"pay" && action in Sallyport::Action::"readOnly" };`,
      twins,
    );
    for (let round = 0; round < 2; round++) {
      expect(outcome(pdp.decide(SEARCH()))).toBe('permit');
      expect(outcome(pdp.decide(toolCall('pay/search', { query: 'x' })))).toBe('forbidden_by_policy');
    }
  });

  it('does not answer for one resource or run what it found for another', () => {
    const run = runOf({ spiffeId: 'spiffe://test.example/agent/clerk/run/bad' as SpiffeId });
    const byTool = pdpFor(PERMIT_ALL + forbid('tool', 'resource == Sallyport::Tool::"files/read"'));
    const byRun = pdpFor(
      PERMIT_ALL + forbid('run', `Sallyport::AgentRun::"${run.spiffeId}" in Sallyport::Agent::"clerk"`),
    );
    for (let round = 0; round < 2; round++) {
      expect(outcome(byTool.decide(SEARCH()))).toBe('permit');
      expect(outcome(byTool.decide(toolCall('files/read', { path: '/' })))).toBe('forbidden_by_policy');
      expect(outcome(byRun.decide(SEARCH()))).toBe('permit');
      expect(outcome(byRun.decide(SEARCH({ caller: callerOf(run) })))).toBe('forbidden_by_policy');
    }
  });

  it('never throws, whatever the facts', () => {
    const pdp = pdpFor(
      `${PERMIT_ALL}${forbid('f', 'context.run.calls > 5 || context.now < datetime("2020-01-01") || principal.depth > 3')}`,
    );
    const odd = [
      SEARCH({ facts: { calls: Number.NaN } }),
      SEARCH({ facts: { calls: 1.5 } }),
      SEARCH({ facts: { calls: 2n as unknown as number } }),
      SEARCH({ now: Number.NaN }),
      SEARCH({ now: 1e18 }),
      SEARCH({ facts: { calls: undefined as unknown as number } }),
      SEARCH({ caller: callerOf(runOf({ depth: 0.5 })) }),
      SEARCH({ caller: callerOf(runOf({ spiffeId: '\ud800' as SpiffeId })) }),
      SEARCH({ caller: { ...callerOf(runOf()), chain: [] as never } }),
      {
        ...SEARCH(),
        target: {
          kind: 'method',
          upstream: upstreamName('mail'),
          method: 'resources/read',
          params: null as never,
        },
      } as const,
    ];
    for (const request of odd) expect(outcome(pdp.decide(request))).toBe('pdp_failed');
    expect(outcome(pdp.decide(SEARCH()))).toBe('permit');
    expect(CATALOGUE.upstreams).toHaveLength(3);
  });

  it('refuses labels, purposes and environments that the catalogue does not have, when a policy reads them', () => {
    const pdp = pdpFor(
      `${PERMIT_ALL}${forbid('f', 'context.run.labels.contains(Sallyport::Label::"pii") || context.intent.purpose == Sallyport::Purpose::"monthly-payout"')}`,
    );
    expect(outcome(pdp.decide(SEARCH({ facts: { labels: ['unheard-of'] } })))).toBe('pdp_failed');
    expect(outcome(pdp.decide(SEARCH({ caller: callerOf(runOf({ intent: { purpose: 'fun' } })) })))).toBe(
      'pdp_failed',
    );
  });
});
