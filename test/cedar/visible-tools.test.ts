import { describe, expect, it } from 'vitest';
import type { Pdp } from '../../src/cedar/index.ts';
import type { ToolPattern } from '../../src/identity/index.ts';
import {
  callerOf,
  catalogueOf,
  FACTS,
  NOW,
  objectOf,
  outcome,
  PERMIT_ALL,
  pdpFor,
  runOf,
  tool,
  toolCall,
  upstreamName,
} from '../support/cedar-fixtures.ts';

const see = (pdp: Pdp, upstream: string, ...chain: Parameters<typeof callerOf>) => {
  return [...pdp.visibleTools(callerOf(...chain), FACTS, upstreamName(upstream), NOW)];
};

const granted = (...tools: string[]) => ({ ...runOf().envelope, tools: tools as ToolPattern[] });

describe('visible tools', () => {
  it('are those that some permit could let the run call', () => {
    const pdp = pdpFor(
      `@id("a") permit(principal in Sallyport::Agent::"clerk", action in Sallyport::Action::"readOnly", resource in Sallyport::Upstream::"mail");
       @id("b") permit(principal in Sallyport::Agent::"payer", action == Sallyport::Action::"pay/transfer", resource) when { context.args.amount.lessThan(decimal("1.0")) };
       @id("c") permit(principal, action in Sallyport::Action::"method", resource);`,
    );
    expect(see(pdp, 'mail', runOf())).toEqual(['search']);
    expect(see(pdp, 'pay', runOf())).toEqual([]);
    expect(see(pdp, 'pay', runOf({ agent: 'payer' }))).toEqual(['transfer']);
    expect(see(pdp, 'files', runOf())).toEqual([]);
    expect(see(pdp, 'none', runOf())).toEqual([]);
  });

  it('are not those that a forbid without conditions always refuses', () => {
    const forbid = (conditions: string) =>
      pdpFor(
        `${PERMIT_ALL}@id("f") @reason("r") forbid(principal, action in Sallyport::Action::"write", resource)${conditions};`,
      );
    expect(see(forbid(''), 'mail', runOf())).toEqual(['search']);
    expect(see(forbid(' when { context.run.calls > 5 }'), 'mail', runOf())).toEqual(['search', 'send']);
  });

  it('are inside the envelope of every link and could be permitted to every link', () => {
    const pdp = pdpFor(
      `@id("a") permit(principal in Sallyport::Agent::"worker", action, resource);
       @id("b") permit(principal in Sallyport::Agent::"boss", action in Sallyport::Action::"readOnly", resource);`,
    );
    const worker = runOf({ agent: 'worker' });
    const boss = runOf({ agent: 'boss' });
    expect(see(pdp, 'mail', worker)).toEqual(['search', 'send']);
    expect(see(pdp, 'mail', worker, boss)).toEqual(['search']);
    expect(see(pdp, 'mail', runOf({ agent: 'worker', envelope: granted('mail/send') }))).toEqual(['send']);
    expect(see(pdp, 'mail', worker, runOf({ agent: 'boss', envelope: granted('files/*') }))).toEqual([]);
    expect(see(pdp, 'mail', worker)).toEqual(['search', 'send']);
  });

  it('tell runs apart that policies name', () => {
    const fixed = runOf();
    const pdp = pdpFor(
      `@id("a") permit(principal == Sallyport::AgentRun::"${fixed.spiffeId}", action, resource);`,
    );
    expect(see(pdp, 'mail', runOf())).toEqual([]);
    expect(see(pdp, 'mail', fixed)).toEqual(['search', 'send']);
  });

  it('include every tool that a decision permits', () => {
    const pdp = pdpFor(
      `@id("a") permit(principal, action, resource) unless { action in Sallyport::Action::"openWorld" };
       @id("b") @reason("r") forbid(principal, action == Sallyport::Action::"files/delete-tree", resource);`,
    );
    for (const name of ['mail/search', 'mail/send', 'pay/transfer', 'files/read', 'files/delete-tree']) {
      const [upstream = '', toolName = ''] = name.split('/');
      const isPermitted = outcome(pdp.decide(toolCall(name, {}))) === 'permit';
      if (isPermitted) expect(see(pdp, upstream, runOf())).toContain(toolName);
    }
    expect(see(pdp, 'files', runOf())).toEqual(['read']);
  });

  it('are none for a run that Cedar must not be told of', () => {
    expect(see(pdpFor(PERMIT_ALL), 'mail', runOf({ environment: '\ud800' }))).toEqual([]);
  });

  it('are found once for all runs that are treated alike', () => {
    const many = Array.from({ length: 2_000 }, (_, i) => tool(`t${i}`, objectOf({})));
    const pdp = pdpFor(PERMIT_ALL, catalogueOf({ odd: many }));
    const first = pdp.visibleTools(callerOf(runOf()), FACTS, upstreamName('odd'), NOW);
    expect(first.size).toBe(2_000);
    expect(pdp.visibleTools(callerOf(runOf()), FACTS, upstreamName('odd'), NOW + 1)).toBe(first);
  });
});
