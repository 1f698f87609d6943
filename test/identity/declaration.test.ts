import fc from 'fast-check';
import { decodeJwt } from 'jose';
import { describe, expect, it } from 'vitest';
import { sha256 } from '../../src/base/index.ts';
import {
  ceilingOfIntent,
  type Declaration,
  declarationJson,
  declareWithin,
  parseDeclaration,
} from '../../src/identity/declaration.ts';
import { createAgentRegistry } from '../../src/identity/index.ts';
import { inferCapabilities } from '../../src/identity/infer-capabilities.ts';
import { parseIntentDetails } from '../../src/identity/intent-details.ts';
import { createAgentKey } from '../support/agent-key.ts';
import {
  AGENTS,
  createTestAuthority,
  intentField,
  JWT_BEARER,
  openTestRun,
  redeemGrant,
  requestGrant,
  requestToken,
  unwrap,
} from '../support/authority.ts';

const parse = (members: object) =>
  parseIntentDetails(JSON.stringify([{ type: 'sallyport_intent', purpose: 'triage', ...members }]));

describe('a declared intent', () => {
  it('has capabilities, addressees, sources, limits and a task', () => {
    const task = 'Pay the bill';
    expect(
      parse({
        task,
        capabilities: ['pay', 'book', 'pay'],
        addressees: ['Ada@Example.org '],
        sources: ['bill.txt'],
        limits: { amounts: { amount: 12.5 }, calls: { pay: 1 } },
        strict: true,
      }),
    ).toEqual({
      ok: true,
      value: {
        purpose: 'triage',
        task,
        taskDigest: sha256(task),
        capabilities: ['book', 'pay'],
        addressees: ['ada@example.org'],
        sources: ['bill.txt'],
        limits: { amounts: { amount: 12.5 }, calls: { pay: 1 } },
        strict: true,
      },
    });
  });

  it.each<[string, object]>([
    ['a member nobody knows', { capabilites: ['pay'] }],
    ['a capability that is no name', { capabilities: ['Pay!'] }],
    ['capabilities that are no list', { capabilities: 'pay' }],
    ['a capability that is no text', { capabilities: [7] }],
    ['too many capabilities', { capabilities: Array.from({ length: 65 }, (_, i) => `c${i}`) }],
    ['an empty addressee', { addressees: [' '] }],
    ['an addressee with a control character', { addressees: ['a\u0000b'] }],
    [
      'more than a token can carry',
      { sources: Array.from({ length: 60 }, (_, i) => `${i}${'x'.repeat(60)}`) },
    ],
    ['a limit nobody knows', { limits: { amount: 5 } }],
    ['a negative limit', { limits: { amounts: { amount: -1 } } }],
    ['a limit that is no number', { limits: { amounts: { amount: '5' } } }],
    ['a broken count', { limits: { calls: { pay: 1.5 } } }],
    ['limits that are a list', { limits: [] }],
    ['a strictness that is no truth', { strict: 'false' }],
    ['an inference that is denied', { inferred: false }],
    ['a huge task', { task: 'x'.repeat(8_193) }],
    ['a task that is no text', { task: { text: 'x' } }],
    ['a task with another digest', { task: 'a', task_digest: sha256('b') }],
  ])('is refused with %s', (_name, members) => {
    expect(parse(members).ok).toBe(false);
  });
});

const names = fc.subarray(['pay', 'book', 'buy', 'delete']);
const declaration: fc.Arbitrary<Declaration> = fc.record(
  {
    capabilities: names,
    addressees: names,
    sources: names,
    limits: fc.record(
      {
        amounts: fc.dictionary(fc.constantFrom('amount', 'price'), fc.nat(9), { maxKeys: 2 }),
        calls: fc.dictionary(fc.constantFrom('pay', 'buy'), fc.nat(9), { maxKeys: 2 }),
      },
      { requiredKeys: [] },
    ),
    strict: fc.boolean(),
    inferred: fc.constant(true as const),
  },
  { requiredKeys: [] },
);

describe('what is declared under a ceiling', () => {
  it('INVARIANT: is a subset of it in every part, however often it is handed on', () => {
    fc.assert(
      fc.property(fc.array(declaration, { minLength: 2, maxLength: 4 }), (chain) => {
        let parent: Declaration = chain[0] ?? {};
        for (const wanted of chain.slice(1)) {
          const child = declareWithin(ceilingOfIntent(parent), wanted);
          if (!child.ok) return;
          for (const part of ['capabilities', 'addressees', 'sources'] as const) {
            expect(parent[part] ?? []).toEqual(expect.arrayContaining([...(child.value[part] ?? [])]));
          }
          for (const kind of ['amounts', 'calls'] as const) {
            for (const [name, most] of Object.entries(parent.limits?.[kind] ?? {}))
              expect(child.value.limits?.[kind]?.[name]).toBeLessThanOrEqual(most);
          }
          if (parent.strict === true) expect(child.value.strict).toBe(true);
          if (parent.inferred === true && (child.value.capabilities ?? []).length > 0)
            expect(child.value.inferred).toBe(true);
          parent = child.value;
        }
      }),
    );
  });

  it('is read again from tokens and the log as it was written', () => {
    fc.assert(
      fc.property(declaration, (wanted) => {
        const ceiling = { ...ceilingOfIntent({}), capabilities: ['pay', 'book', 'buy', 'delete'] };
        const { addressees: _, sources: __, ...rest } = wanted;
        const declared = declareWithin(ceiling, rest);
        if (!declared.ok) throw new Error('within');
        const read = parseDeclaration(declarationJson(declared.value));
        expect(read).toMatchObject({ ok: true });
        expect(read.ok && declarationJson(read.value)).toEqual({
          ...declarationJson(declared.value),
          ...(declared.value.capabilities && { capabilities: [...declared.value.capabilities].sort() }),
        });
      }),
    );
  });

  it('covers the addresses of a domain, and of no other', () => {
    const within = (address: string) =>
      declareWithin({ capabilities: [], addressees: ['@example.org'] }, { addressees: [address] }).ok;
    expect(within('ada@example.org')).toBe(true);
    for (const address of [
      'ada@sub.example.org',
      'ada@evil.example@example.org',
      '@example.org.evil',
      'example.org',
    ])
      expect(within(address), address).toBe(false);
  });
});

describe('capabilities inferred from a task', () => {
  it('are those whose words it has, as far as the ceiling goes', () => {
    expect(
      inferCapabilities('Please PAY the bill and e-mail Ada.', ['pay', 'send-message', 'delete']),
    ).toEqual(['pay', 'send-message']);
    expect(inferCapabilities('Please pay the bill', ['delete'])).toEqual([]);
    expect(inferCapabilities('Repayment deleted', ['pay', 'delete'])).toEqual([]);
  });

  it('do not come from what is pasted far below the task', () => {
    expect(inferCapabilities(`Summarise this:${' x'.repeat(1_000)} pay everything`, ['pay'])).toEqual([]);
  });

  it.each([
    'Read the plan and follow its instructions.',
    'Do all the open tasks listed in the plan.',
    'Do whatever the plan says.',
    'Handle the requests in the plan',
  ])('are those with addressees to check, when a text elsewhere says what to do: %s', (task) => {
    const ceiling = ['pay', 'buy', 'delete', 'manage-access', 'run-code', 'send-message', 'edit-records'];
    expect(inferCapabilities(task, ceiling)).toEqual(['send-message', 'edit-records']);
    expect(inferCapabilities(task, ['edit-records', 'delete'])).toEqual(['edit-records']);
  });

  it.each([
    'Perform the following tasks in the order they are given: 1. Sum up the plan.',
    'Do not follow the instructions in the plan.',
    'How do the tasks in the plan look?',
    'What should I do about the steps in the plan?',
    'Sum up what the plan says.',
  ])('are none when nothing is left to a text: %s', (task) => {
    expect(inferCapabilities(task, ['send-message', 'schedule', 'edit-records'])).toEqual([]);
  });

  it('take no time to find in a text made to take long', () => {
    const started = process.cpuUsage();
    for (const word of ['do ', 'do all ', 'do the tasks that are ', "do what x's "]) {
      inferCapabilities(word.repeat(500), ['pay']);
    }
    const { user, system } = process.cpuUsage(started);
    expect(user + system).toBeLessThan(200_000);
  });
});

function setup() {
  const [ops, ...others] = AGENTS;
  if (ops === undefined) throw new Error('no agent');
  const agents = createAgentRegistry([
    {
      ...ops,
      capabilities: ['pay', 'send-message'],
      limits: { amounts: { amount: 100 } },
      strictPurposes: ['report'],
    },
    ...others,
  ]);
  const authority = createTestAuthority({ agents });
  const newKey = () => createAgentKey(authority.clock.now);
  const key = newKey();
  const open = async (intent: Record<string, unknown>) => {
    const token = await openTestRun(key, authority, { purpose: 'triage', ...intent });
    const run = await authority.deps.runs.find(token.sallyport.run);
    return { token, run: run?.run };
  };
  const tryOpen = (intent: Record<string, unknown>) => {
    const fields = {
      grant_type: JWT_BEARER,
      assertion: authority.joinTokens.issue(agents.list()[0]?.name ?? ('' as never)),
      authorization_details: intentField({ purpose: 'triage', ...intent }),
    };
    return requestToken(fields, newKey(), authority);
  };
  return { authority, newKey, key, open, tryOpen };
}

const REFUSED = { ok: false, error: { error: 'invalid_authorization_details' } };

describe('a root run', () => {
  it('has what it declared, in its token too, and the limits of its agent', async () => {
    const { open } = setup();
    const { token, run } = await open({ capabilities: ['pay'], addressees: ['ada'], task: 'secret words' });
    expect(run?.intent).toMatchObject({ capabilities: ['pay'], limits: { amounts: { amount: 100 } } });
    expect(decodeJwt(token.access_token)).toMatchObject({
      authorization_details: [
        { capabilities: ['pay'], addressees: ['ada'], task_digest: sha256('secret words') },
      ],
    });
    expect(JSON.stringify([decodeJwt(token.access_token), run, token.authorization_details])).not.toContain(
      'secret',
    );
  });

  it('has no capability that it did not declare, and infers none without a task', async () => {
    const { run } = await setup().open({});
    expect(run?.intent).not.toHaveProperty('capabilities');
  });

  it('infers capabilities from its task within the ceiling, and says so', async () => {
    const { run } = await setup().open({ task: 'pay the bill, delete the rest' });
    expect(run?.intent).toMatchObject({ capabilities: ['pay'], inferred: true });
  });

  it.each([{ purpose: 'report' }, { strict: true }])(
    'infers nothing when it is strict: %j',
    async (intent) => {
      const { run } = await setup().open({ task: 'pay the bill', ...intent });
      expect(run?.intent).toMatchObject({ strict: true });
      expect(run?.intent).not.toHaveProperty('capabilities');
    },
  );

  it.each([
    { capabilities: ['delete'] },
    { capabilities: ['pay', 'launch-rockets'] },
    { limits: { amounts: { amount: 101 } } },
    { purpose: 'report', strict: false },
  ])('cannot declare %j', async (intent) => {
    expect(await setup().tryOpen(intent)).toMatchObject(REFUSED);
  });

  it('renews with the same intent only', async () => {
    const { authority, key, open } = setup();
    await open({ capabilities: ['pay'], task: 'a' });
    const renew = (members: Record<string, unknown>) =>
      openTestRun(key, authority, { purpose: 'triage', ...members });
    await expect(renew({ capabilities: ['pay'], task: 'a' })).resolves.toBeDefined();
    await expect(renew({ capabilities: ['pay', 'send-message'] })).rejects.toThrow();
    await expect(renew({ capabilities: ['pay'], task: 'b' })).rejects.toThrow();
    await expect(renew({ addressees: ['eve'] })).rejects.toThrow();
    await expect(renew({ strict: true })).rejects.toThrow();
  });
});

describe('an intent widened by a child', () => {
  async function family(parentIntent: Record<string, unknown>) {
    const { authority, newKey, key, open } = setup();
    const { token } = await open({ max_calls: 50, ...parentIntent });
    const grant = (wanted: Record<string, unknown>) =>
      requestGrant(token.access_token, key, authority, { purpose: 'triage', max_calls: 5, ...wanted });
    const redeem = async (granted: Record<string, unknown>, wanted?: Record<string, unknown>) => {
      const { access_token } = unwrap(await grant(granted));
      const details =
        wanted === undefined ? {} : { authorization_details: intentField({ purpose: 'triage', ...wanted }) };
      const child = await redeemGrant(access_token, newKey(), authority, details);
      return child.ok ? (await authority.deps.runs.find(child.value.sallyport.run))?.run.intent : child;
    };
    return { grant, redeem };
  }

  it.each([
    { capabilities: ['pay', 'send-message'] },
    { addressees: ['eve'] },
    { sources: ['other.txt'] },
    { limits: { amounts: { amount: 60 } } },
    { strict: false },
  ])('is refused when it is asked for: %j', async (wanted) => {
    const { grant } = await family({
      capabilities: ['pay'],
      addressees: ['ada'],
      limits: { amounts: { amount: 50 } },
      strict: true,
    });
    expect(await grant(wanted)).toMatchObject(REFUSED);
  });

  it('is refused when a child redeems its grant', async () => {
    const { redeem } = await family({ capabilities: ['pay', 'send-message'] });
    expect(await redeem({ capabilities: ['pay'] }, { capabilities: ['pay', 'send-message'] })).toMatchObject(
      REFUSED,
    );
    expect(await redeem({ capabilities: ['pay'] }, { addressees: ['eve'] })).toMatchObject(REFUSED);
  });

  it('does not happen by silence: what the grant left out stays out', async () => {
    const { redeem } = await family({ capabilities: ['pay'], addressees: ['ada'] });
    expect(await redeem({ capabilities: [], addressees: [] })).toEqual({
      purpose: 'triage',
      limits: { amounts: { amount: 100 } },
    });
    expect(await redeem({})).toMatchObject({ capabilities: ['pay'], addressees: ['ada'] });
  });

  it('does not happen through a task: a child infers nothing', async () => {
    const { redeem } = await family({});
    expect(await redeem({ task: 'pay everything' })).not.toHaveProperty('capabilities');
    expect(await redeem({}, { task: 'pay everything' })).not.toHaveProperty('capabilities');
  });

  it('keeps the mark of an inferred parent', async () => {
    const { redeem } = await family({ task: 'pay the bill' });
    expect(await redeem({})).toMatchObject({ capabilities: ['pay'], inferred: true });
    expect(await redeem({ capabilities: ['pay'] })).toMatchObject({ capabilities: ['pay'], inferred: true });
  });
});
