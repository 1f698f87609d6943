import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../src/base/index.ts';
import { createProvenanceSecret, openProvenance } from '../../../src/cedar/provenance/index.ts';
import { INBOX, SEND, textResult, tool } from '../../support/provenance.ts';

const RECORDS = 3_000;
const mailOf = (at: number): string => `person${at}@example.com`;
const records = Array.from({ length: RECORDS }, (_, at) => ({
  id: `m-${at}`,
  sender: mailOf(at),
  body: `please answer until 2025-10-${10 + (at % 20)}, ${'the delivery came late '.repeat(8)}`,
}));
const RESULTS: readonly (readonly [string, JsonObject])[] = [
  ['JSON in a text', textResult(JSON.stringify(records))],
  ['structured content', { content: [], structuredContent: { records } }],
  [
    'many texts',
    { content: records.slice(0, 250).map(({ sender, body }) => textOf(`${sender}: ${body.repeat(8)}`)) },
  ],
];
function textOf(text: string): JsonObject {
  return { type: 'text', text };
}

function open() {
  const index = openProvenance({ secret: createProvenanceSecret() });
  const turns = (result: JsonObject) =>
    index
      .observing({ call: 'call-1', annotations: INBOX, args: {}, result, labels: ['private'] })
      [Symbol.iterator]();
  const levelOf = (to: string) => index.explain({ to }, SEND).facts.address;
  return { index, turns, levelOf };
}

describe('a large result', () => {
  it.each(RESULTS)('is taken in in turns: %s', (_, result) => {
    const { turns } = open();
    let count = 0;
    for (const each = turns(result); each.next().done !== true; ) count++;
    expect(count).toBeGreaterThan(3);
  });

  it.each(RESULTS)('is known in the end as if it had been taken in at once: %s', (_, result) => {
    const inTurns = open();
    for (const each = inTurns.turns(result); each.next().done !== true; );
    const atOnce = open();
    atOnce.index.observeResult({ call: 'call-1', annotations: INBOX, args: {}, result, labels: ['private'] });
    for (const at of [0, 1, 777, 1_500]) {
      const args = { to: mailOf(at), record: `m-${at}` };
      expect(inTurns.index.explain(args, SEND)).toEqual(atOnce.index.explain(args, SEND));
    }
    expect(inTurns.index.size.values).toBe(atOnce.index.size.values);
  });

  it('vouches for nothing that is not taken in yet', () => {
    const { turns, levelOf } = open();
    const each = turns({ content: [], structuredContent: { records: records.slice(0, 1_500) } });
    each.next();
    expect(levelOf(mailOf(0))).toBe('systemField');
    expect(levelOf(mailOf(1_499))).toBe('unknown');
    while (each.next().done !== true);
    expect(levelOf(mailOf(1_499))).toBe('systemField');
  });

  it('is worth no more for what the tree writes in the meantime', () => {
    const { index } = open();
    const own = { call: 'call-1', annotations: tool(), args: {}, labels: [] };
    const each = index.observing({ ...own, result: { structuredContent: { records } } })[Symbol.iterator]();
    each.next();
    index.observeArguments({ call: 'call-2', annotations: SEND, args: { to: mailOf(2_999) } });
    while (each.next().done !== true);
    expect(index.explain({ to: mailOf(2_998) }, SEND).facts.address).toBe('ownResult');
    expect(index.explain({ to: mailOf(2_999) }, SEND).facts.address).toBe('unknown');
  });
});

describe('a long text', () => {
  it('is read in passages, and nothing at their borders is lost', () => {
    const { turns, levelOf, index } = open();
    const ibans = Array.from({ length: 6_000 }, (_, at) => `DE89 3704 0044 ${1000 + at} 0130 00`);
    let count = 0;
    for (const each = turns(textResult(ibans.join(', '))); each.next().done !== true; ) count++;
    expect(count).toBeGreaterThan(3);
    for (const iban of ibans) expect(levelOf(iban)).toBe('thirdPartyText');
    expect(index.size.isTruncated).toBe(false);
  });

  it('without a break in it is read too', () => {
    const { turns, levelOf } = open();
    for (const each = turns(textResult(`${'x'.repeat(200_000)} ${mailOf(1)}`)); each.next().done !== true; );
    expect(levelOf(mailOf(1))).toBe('thirdPartyText');
  });
});

describe('a small result', () => {
  it('takes one turn', () => {
    const { turns } = open();
    expect(turns(textResult('mail mark@example.com now')).next().done).toBe(true);
  });
});

const LONG: readonly (readonly [string, JsonObject])[] = [
  ['a long text', { body: `${'mail person1@example.com, '.repeat(3_000)}now eve@evil.example` }],
  ['many texts', { body: Array.from({ length: 900 }, (_, at) => `to ${mailOf(at)} and www.h${at}.example`) }],
  ['a long list of addresses', { to: Array.from({ length: 999 }, (_, at) => mailOf(at)).join(', ') }],
  [
    'encoded words',
    { body: Array.from({ length: 900 }, (_, at) => hexOf(`eve${at}@evil.example`)).join(' ') },
  ],
];
function hexOf(text: string): string {
  return Buffer.from(text).toString('hex');
}

describe('long arguments', () => {
  it.each(LONG)('are explained in turns, and as they would be at once: %s', (_, args) => {
    const { index } = open();
    index.observeResult({
      call: 'call-1',
      annotations: INBOX,
      args: {},
      result: { content: [], structuredContent: { records } },
      labels: ['private'],
    });
    const each = index.explaining(args, SEND);
    let count = 0;
    let turn = each.next();
    for (; turn.done !== true; turn = each.next()) count++;
    expect(count).toBeGreaterThan(3);
    expect(turn.value).toEqual(index.explain(args, SEND));
  });

  it('have no explanation before the last of them is looked at', () => {
    const { index } = open();
    index.observeIntent({ text: `write to ${mailOf(1)}` });
    const turnOf = (last: string) => {
      const each = index.explaining({ to: [...Array.from({ length: 900 }, () => mailOf(1)), last] }, SEND);
      const first = each.next();
      let turn = first;
      while (turn.done !== true) turn = each.next();
      return { first, facts: turn.value.facts };
    };
    expect(turnOf(mailOf(1)).facts.address).toBe('request');
    const { first, facts } = turnOf('eve@evil.example');
    expect(first).toEqual({ done: false, value: undefined });
    expect(facts.address).toBe('unknown');
  });

  it('are taken in in turns before they go out, to the end and over the borders of passages', () => {
    const { index, levelOf } = open();
    const body = Array.from({ length: 6_000 }, (_, at) => `write to ${mailOf(at)}`).join('\n');
    let count = 0;
    for (const each = index.observingArguments({ call: 'call-1', annotations: SEND, args: { body } }); ; ) {
      if (each.next().done === true) break;
      count++;
    }
    expect(count).toBeGreaterThan(2);
    const own = { call: 'call-2', annotations: tool(), args: {}, labels: [] };
    const said = Array.from({ length: 6_000 }, (_, at) => ({ sender: mailOf(at) }));
    index.observeResult({ ...own, result: { content: [], structuredContent: { said } } });
    for (const at of [0, 1, 1_234, 5_998, 5_999]) expect(levelOf(mailOf(at))).toBe('unknown');
  });

  it('of a usual call take one turn', () => {
    const { index } = open();
    expect(index.explaining({ to: mailOf(1), body: 'the report' }, SEND).next().done).toBe(true);
    const sent = { call: 'call-1', annotations: SEND, args: { to: mailOf(1), body: 'the report' } };
    expect(index.observingArguments(sent).next().done).toBe(true);
  });
});
