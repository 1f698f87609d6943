import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type AgentName, type JsonObject, parseAgentName, type RunId } from '../../src/base/index.ts';
import { fitJson, jsonBytes } from '../../src/intent-log/fit-json.ts';
import {
  decodeRecord,
  encodeBody,
  type LogRecord,
  MAX_RECORD_BYTES,
  type RecordBody,
  sealRecord,
} from '../../src/intent-log/index.ts';
import { intent, newCall, newRun, outcome, refusal, runClose, runOpen } from '../support/records.ts';

const run = newRun();
const call = newCall();
const LARGEST_ENVELOPE = {
  idx: Number.MAX_SAFE_INTEGER,
  at: '2026-03-01T12:00:00.000Z',
  strand: run,
  seq: Number.MAX_SAFE_INTEGER,
  prev: 'p'.repeat(43),
};

function roundTrip(body: RecordBody): LogRecord {
  const bytes = Buffer.from(sealRecord(LARGEST_ENVELOPE, encodeBody(body).json));
  expect(bytes.length).toBeLessThanOrEqual(MAX_RECORD_BYTES);
  const decoded = decodeRecord(bytes);
  if (!decoded.ok) throw new Error(JSON.stringify(decoded.error));
  return decoded.value;
}

const bodies: [string, RecordBody][] = [
  ['boot', { type: 'boot', version: '0.1.0', config: 'digest' }],
  ['run.open', runOpen(run, { parent: newRun(), taskDigest: 'digest' })],
  ['run.close', runClose(run)],
  ['intent', intent(run, call, { traceparent: '00-0-0-01', labels: ['untrusted'] })],
  ['outcome', outcome(run, call, 'leaf', { detail: 'detail' })],
  ['refusal by policy', refusal(run, call)],
  ['refusal before policy', { type: 'refusal', call, early: { reason: 'batch' }, micros: 5 }],
  [
    'run.renew',
    { type: 'run.renew', run, evidence: { attestor: 'ci', digest: 'd', claims: { sub: 's' } }, until: 5 },
  ],
  [
    'token.refusal',
    {
      type: 'token.refusal',
      endpoint: 'token',
      error: 'slow_down',
      description: 'too many',
      source: '127.0.0.1',
      grant: 'client_credentials',
      suppressed: 3,
    },
  ],
  [
    'agent.change',
    {
      type: 'agent.change',
      agent: parseAgentName('clerk') as AgentName,
      change: 'disable',
      by: 'robin',
      reason: 'left',
      entry: { name: 'clerk' },
    },
  ],
  ['policyset.load', { type: 'policyset.load', revision: 'r1', policies: ['a', 'b'] }],
  ['toolset.pin', { type: 'toolset.pin', upstream: 'ops', digest: 'd', tools: { list_inbox: 'd2' } }],
  ['recovery', { type: 'recovery', unknown: [call] }],
  ['epoch', { type: 'epoch', runs: 2, heads: 'digest', inFlight: 1 }],
  ['gap', { type: 'gap', reason: 'queue_full', dropped: 3 }],
];

describe('an encoded record', () => {
  it.each(bodies)('reads back as it was written: %s', (_, body) => {
    expect(roundTrip(body)).toEqual({ v: 2, ...LARGEST_ENVELOPE, ...body });
  });

  it.each(bodies)('has its fields in one order, however they came: %s', (_, body) => {
    const reversed = Object.fromEntries(Object.entries(body).reverse()) as RecordBody;
    expect(encodeBody(reversed).json).toBe(encodeBody(body).json);
  });

  it('joins the strand of its run, or that of the gateway', () => {
    expect(encodeBody(intent(run, call)).strand).toBe(run);
    expect(encodeBody({ type: 'refusal', call, micros: 1 }).strand).toBe('gateway');
  });

  it('leaves out what the format does not know, so that no secret gets in by accident', () => {
    const body = {
      ...intent(run, call),
      token: 'secret',
      actor: { ...intent(run, call).actor, key: 'secret' },
    };
    expect(encodeBody(body).json).not.toContain('secret');
  });

  it('refuses a run id that could break out of its field', () => {
    expect(() => encodeBody(runClose('x","seq":0,"y":"' as RunId))).toThrow(TypeError);
    expect(() => encodeBody({ type: 'gossip' } as unknown as RecordBody)).toThrow(TypeError);
  });

  it('cuts what is too long, marks the cut and keeps what is short', () => {
    const tool = '\u{1f510}'.repeat(40_000);
    const subject = { upstream: 'ops', method: 'tools/call', tool };
    const record = roundTrip(intent(run, call, { subject }));
    if (record.type !== 'intent') throw new Error('wrong type');
    expect(record.subject.tool).toMatch(/^\u{1f510}+…\[\d+ bytes cut\]$/u);
    expect({ ...record, subject }).toEqual({ v: 2, ...LARGEST_ENVELOPE, ...intent(run, call, { subject }) });
  });

  it('cuts long lists and objects so that they stay what they are', () => {
    const policies = Array.from({ length: 9000 }, (_, i) => `policy-${i}`);
    const load = roundTrip({ type: 'policyset.load', revision: 'r1', policies });
    if (load.type !== 'policyset.load') throw new Error('wrong type');
    expect(load.policies[0]).toBe('policy-0');
    expect(load.policies.at(-1)).toMatch(/^…\[\d+ items cut\]$/);
    const tools = Object.fromEntries(policies.map((name) => [name, 'd'.repeat(43)]));
    const pin = roundTrip({ type: 'toolset.pin', upstream: 'ops', digest: 'd', tools });
    if (pin.type !== 'toolset.pin') throw new Error('wrong type');
    expect(pin.tools['policy-0']).toBe('d'.repeat(43));
    expect(pin.tools['…']).toMatch(/^\[\d+ entries cut\]$/);
  });
});

describe('fitting JSON into a number of bytes', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 400 }),
    fc.string({ unit: fc.constantFrom('\u0000', '"', '\\', '\ud800', 'é', '🔐'), maxLength: 400 }),
  );
  const value = fc.letrec<{ any: unknown }>((tie) => ({
    any: fc.oneof(
      { maxDepth: 3 },
      text,
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.boolean(),
      fc.array(tie('any'), { maxLength: 12 }),
      fc.dictionary(text, tie('any'), { maxKeys: 12 }),
    ),
  })).any;

  it('never exceeds them, and changes nothing that fits', () => {
    fc.assert(
      fc.property(value, fc.integer({ min: 48, max: 1500 }), (any, bytes) => {
        const json = JSON.parse(JSON.stringify(any)) as JsonObject;
        const fitted = fitJson(json, bytes);
        expect(jsonBytes(fitted)).toBeLessThanOrEqual(bytes);
        if (jsonBytes(json) <= bytes) expect(fitted).toBe(json);
        expect(Array.isArray(fitted)).toBe(Array.isArray(json));
        expect(typeof fitted).toBe(typeof json);
      }),
      { numRuns: 500 },
    );
  });
});

describe('what must be committed to first', () => {
  const ask = { callHash: 'bare', values: [] };
  const decision = { effect: 'ask', policies: [], revision: 'r', asks: ask } as const;
  const bridge = { from: 'a', to: 'b', method: 'm', call, input: { text: '"word"' } };

  it.each([
    ['what an approval is asked for', { ...refusal(run, call), decision }],
    ['what a client answered in a round', { ...refusal(run, call), bridge }],
  ])('is not encoded as it is: %s', (_, record) => {
    expect(() => encodeBody(record)).toThrow('must be committed to');
  });
});

describe('a stored record', () => {
  const good = sealRecord(LARGEST_ENVELOPE, encodeBody(intent(run, call)).json);
  it.each([
    ['not JSON', good.slice(0, -1), { reason: 'not_json' }],
    ['a later version', good.replace('"v":2', '"v":3'), { reason: 'unknown_version', version: 3 }],
    [
      'an unknown type',
      good.replace('"type":"intent"', '"type":"gossip"'),
      { reason: 'unknown_type', type: 'gossip' },
    ],
    [
      'a field of the wrong kind',
      good.replace('"bytes":17', '"bytes":"17"'),
      { reason: 'bad_field', field: 'subject' },
    ],
    ['no call', good.replace('"call"', '"call_"'), { reason: 'bad_field', field: 'call' }],
  ])('is refused when it is %s', (_, text, error) => {
    expect(decodeRecord(Buffer.from(text))).toEqual({ ok: false, error });
  });
});
