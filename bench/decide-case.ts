import { randomUUID } from 'node:crypto';
import type { JsonObject } from '../src/base/index.ts';
import type { AuthorizationRequest, Catalogue, PolicySource } from '../src/cedar/index.ts';
import {
  callerOf,
  catalogueOf,
  NOW,
  objectOf,
  runOf,
  tool,
  toolCall,
} from '../test/support/cedar-fixtures.ts';

/** What one row of the table is about. */
export type Size = { readonly policies: number; readonly tools: number; readonly argBytes: number };

const ARGS = objectOf(
  {
    to: { type: 'array', items: { type: 'string' } },
    account: { type: 'string' },
    amount: { type: 'integer' },
    currency: { type: 'string', enum: ['EUR', 'USD', 'GBP'] },
    due: { type: 'string', format: 'date-time' },
    body: { type: 'string' },
  },
  ['to', 'account', 'amount'],
);

/** One upstream, `odd`, whose tools all take the same arguments. */
export function catalogueFor({ tools }: Size): Catalogue {
  return catalogueOf({ odd: Array.from({ length: tools }, (_, i) => tool(`t${i}`, ARGS)) });
}

/** Rules about every call, as a team would have them; the first ones of every set. */
const GUARDRAILS: readonly string[] = [
  'forbid(principal, action, resource) when { context.run.calls > 9000 };',
  'forbid(principal, action in Sallyport::Action::"openWorld", resource) when { context.run.labels.containsAll([Sallyport::Label::"private", Sallyport::Label::"untrusted"]) };',
  'forbid(principal, action in Sallyport::Action::"call", resource) when { !context.argInfo.unmapped.isEmpty() || !context.argInfo.extra.isEmpty() };',
  'forbid(principal, action in Sallyport::Action::"write", resource) when { principal.environment != resource.environment };',
  'forbid(principal, action in Sallyport::Action::"write", resource) when { context.now < datetime("2020-01-01") };',
  'permit(principal, action in Sallyport::Action::"call", resource) when { context.pop == "dpop" && principal.depth <= 2 };',
];

/** Guardrails, and beside them rules about single tools, spread evenly. Each rule reads arguments and facts. */
export function policiesFor({ policies, tools }: Size): readonly PolicySource[] {
  const texts = Array.from({ length: policies }, (_, i) => {
    return `@id("p${i}") @reason("r") ${GUARDRAILS[i] ?? ruleAbout(`odd/t${i % tools}`, i)}`;
  });
  const files = Math.ceil(texts.length / FILE);
  return Array.from({ length: files }, (_, i) => {
    return { file: `${i}.cedar`, text: texts.slice(i * FILE, (i + 1) * FILE).join('\n') };
  });
}

const FILE = 500;

function ruleAbout(name: string, i: number): string {
  const head = `(principal, action == Sallyport::Action::"${name}", resource)`;
  switch (i % 4) {
    case 0:
      return `forbid${head} when { context.args.account like "blocked-${i}-*" };`;
    case 1:
      return `forbid${head} when { context.args.to.contains("eve${i}@evil.example") && context.run.toolCalls > 2 };`;
    case 2:
      return `forbid${head} when { context.args.amount > ${10_000 + i} && context.args has currency };`;
    default:
      return `permit${head} when { context.args.account == "account-${i}" && context.intent.purpose == Sallyport::Purpose::"triage-inbox" };`;
  }
}

const RUN = runOf();

/** A request unlike every other: no decision can come from a cache. */
export function requestFor({ tools, argBytes }: Size, i: number): AuthorizationRequest {
  const id = randomUUID();
  const args: JsonObject = {
    to: [`${id}@example.com`],
    account: `account-${id}`,
    amount: i,
    currency: 'EUR',
    body: 'x'.repeat(Math.max(0, argBytes - 150)),
  };
  const facts = { calls: i % 1_000, toolCalls: i % 1_000, labels: ['private'] };
  return toolCall(`odd/t${i % tools}`, args, { caller: callerOf(RUN), facts, now: NOW + i });
}
