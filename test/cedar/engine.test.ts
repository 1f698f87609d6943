import { describe, expect, it } from 'vitest';
import { type Cedar, loadCedar } from '../../src/cedar/cedar-wasm.ts';
import { createEngine, type Engine, type Query, type Unit } from '../../src/cedar/engine.ts';
import { createPdp } from '../../src/cedar/index.ts';
import { type Evaluator, proveEvaluator } from '../../src/cedar/self-test.ts';
import { CATALOGUE } from '../support/cedar-fixtures.ts';

const USER = { type: 'T::U', id: 'u' };

const UNIT: Unit = {
  id: 'unit',
  schema: {
    T: {
      entityTypes: { U: {} },
      actions: {
        act: {
          appliesTo: {
            principalTypes: ['U'],
            resourceTypes: ['U'],
            context: { type: 'Record', attributes: { text: { type: 'String' } } },
          },
        },
      },
    },
  },
  policies: { open: 'permit(principal, action, resource) when { context.text == "open" };' },
};

const asking = (text: unknown): Query => ({
  principal: USER,
  action: { type: 'T::Action', id: 'act' },
  resource: USER,
  context: { text: text as string },
  entities: [],
});

const GOOD = { kind: 'decided', allow: true, reasons: ['open'], errors: [] };
const DEADLY = asking('\ud800'); // throws inside wasm and leaks its stack

/** Runs deferred tasks when told to. */
function deferring() {
  const tasks: (() => void)[] = [];
  return {
    defer: (task: () => void) => {
      tasks.push(task);
    },
    run: () => {
      for (const task of tasks.splice(0)) task();
    },
  };
}

describe('the engine', () => {
  it('is needed: plain cedar-wasm dies of some thousand bad strings, for good', () => {
    const cedar = loadCedar();
    cedar.preparseSchema('unit', UNIT.schema);
    cedar.preparsePolicySet('unit', { staticPolicies: { ...UNIT.policies } });
    const call = (text: string) =>
      cedar.statefulIsAuthorized({
        ...asking(text),
        preparsedSchemaName: 'unit',
        preparsedPolicySetId: 'unit',
      });
    expect(call('open')).toMatchObject({ response: { decision: 'allow' } });
    for (let i = 0; i < 2_000; i++) expect(() => call('\ud800')).toThrow();
    expect(() => call('open')).toThrow('memory access out of bounds');
  });

  it('answers well after thousands of bad strings', () => {
    const engine = createEngine();
    for (let i = 0; i < 3_000; i++) expect(engine.evaluate(UNIT, DEADLY).kind).toBe('failed');
    expect(engine.evaluate(UNIT, asking('open'))).toEqual(GOOD);
    expect(engine.restarts).toBeGreaterThan(50);
  });

  it('gives up an instance that has thrown as soon as the spare is ready, and makes a new spare', () => {
    const later = deferring();
    let loads = 0;
    const load = () => {
      loads++;
      return loadCedar();
    };
    const engine = createEngine({ load, defer: later.defer });
    expect(loads).toBe(1);
    later.run();
    expect(loads).toBe(2);
    engine.evaluate(UNIT, DEADLY);
    expect(engine.restarts).toBe(1);
    expect(loads).toBe(2);
    expect(engine.evaluate(UNIT, asking('open'))).toEqual(GOOD);
    later.run();
    expect(loads).toBe(3);
  });

  it('gives up an instance that traps at once, spare or not', () => {
    let traps = true;
    const load = (): Cedar => {
      const cedar = loadCedar();
      return {
        ...cedar,
        statefulIsAuthorized(call) {
          if (traps && call.preparsedPolicySetId === 'unit') throw new RangeError('stack');
          return cedar.statefulIsAuthorized(call);
        },
      };
    };
    const engine = createEngine({ load, defer: () => undefined });
    expect(engine.evaluate(UNIT, asking('open'))).toMatchObject({ kind: 'failed' });
    expect(engine.restarts).toBe(1);
    traps = false;
    expect(engine.evaluate(UNIT, asking('open'))).toEqual(GOOD);
  });

  it('refuses while no instance can be started, and works again when one can', () => {
    let broken = false;
    const load = () => {
      if (broken) throw new Error('no memory');
      return loadCedar();
    };
    const later = deferring();
    const engine = createEngine({ load, defer: later.defer });
    broken = true;
    later.run();
    for (let i = 0; i < 100; i++) expect(engine.evaluate(UNIT, DEADLY).kind).toBe('failed');
    expect(engine.evaluate(UNIT, DEADLY)).toMatchObject({
      detail: expect.stringContaining('does not start'),
    });
    broken = false;
    expect(engine.evaluate(UNIT, DEADLY).kind).toBe('failed');
    expect(engine.evaluate(UNIT, asking('open'))).toEqual(GOOD);
  });

  it('reports a unit that does not parse, and a request that is not of the schema, without an exception', () => {
    const engine = createEngine();
    const bad = { ...UNIT, id: 'bad', policies: { x: 'permit(' } };
    expect(engine.evaluate(bad, asking('open'))).toMatchObject({ kind: 'failed' });
    expect(engine.evaluate({ ...UNIT, id: 'worse', schema: { T: {} as never } }, asking('open')).kind).toBe(
      'failed',
    );
    for (const text of [5, null, ['open'], { __extn: { fn: 'unknown', arg: 'x' } }, { __entity: USER }]) {
      expect(engine.evaluate(UNIT, asking(text)), JSON.stringify(text)).toMatchObject({ kind: 'failed' });
    }
    expect(engine.evaluate(UNIT, { ...asking('open'), action: { type: 'T::Action', id: 'x' } }).kind).toBe(
      'failed',
    );
    expect(engine.evaluate(UNIT, asking('open'))).toEqual(GOOD);
    expect(engine.restarts).toBe(0);
  });

  it('forgets the units used longest ago rather than grow, and knows them again', () => {
    const cedar = loadCedar();
    const emptied: string[] = [];
    const load = (): Cedar => ({
      ...cedar,
      preparsePolicySet(id, policies) {
        if (policies.staticPolicies === undefined) emptied.push(id);
        return cedar.preparsePolicySet(id, policies);
      },
    });
    const engine = createEngine({ load, defer: () => undefined });
    const policies = Object.fromEntries(
      Array.from({ length: 2_500 }, (_, i) => [`p${i}`, UNIT.policies['open'] ?? '']),
    );
    for (const id of ['a', 'b', 'c', 'd']) {
      expect(engine.evaluate({ ...UNIT, id, policies }, asking('open'))).toMatchObject({ allow: true });
    }
    expect(emptied).toEqual(['a']);
    expect(engine.evaluate({ ...UNIT, id: 'a', policies }, asking('shut'))).toMatchObject({ allow: false });
  }, 60_000);
});

/** An engine that answers what it likes. */
function lying(
  lie: (answer: ReturnType<Cedar['statefulIsAuthorized']>) => ReturnType<Cedar['statefulIsAuthorized']>,
) {
  const load = (): Cedar => {
    const cedar = loadCedar();
    return { ...cedar, statefulIsAuthorized: (call) => lie(cedar.statefulIsAuthorized(call)) };
  };
  return (): Engine => createEngine({ load, defer: () => undefined });
}

/** What an evaluator must say in the self-test. */
const RIGHT = new Map<number | string, string>([
  [1, 'allow:allows:'],
  [2, 'deny:refuses:'],
  [0, 'deny::'],
  [3, 'allow:allows:errs'],
  ['1', 'failure'],
]);

describe('the self-test', () => {
  it.each<[string, ReturnType<typeof lying>]>([
    [
      'permits everything',
      lying((answer) => {
        return answer.type === 'failure'
          ? answer
          : { ...answer, response: { ...answer.response, decision: 'allow' } };
      }),
    ],
    [
      'refuses everything',
      lying((answer) => {
        return answer.type === 'failure'
          ? answer
          : { ...answer, response: { ...answer.response, decision: 'deny' } };
      }),
    ],
    [
      'hides errors',
      lying((answer) => {
        if (answer.type === 'failure') return answer;
        const diagnostics = { ...answer.response.diagnostics, errors: [] };
        return { ...answer, response: { ...answer.response, diagnostics } };
      }),
    ],
    [
      'takes requests of the wrong type',
      lying((answer) => {
        const diagnostics = { reason: [], errors: [] };
        return answer.type === 'success'
          ? answer
          : { type: 'success', warnings: [], response: { decision: 'deny', diagnostics } };
      }),
    ],
    [
      'throws',
      lying(() => {
        throw new Error('broken');
      }),
    ],
  ])('does not open a gate whose engine %s', (_name, start) => {
    expect(start).toThrow(expect.objectContaining({ code: 'ERR_PDP_SELF_TEST' }));
  });

  it.each<[string, Evaluator]>([
    ['permits everything', () => 'allow:allows:'],
    ['refuses everything', () => 'deny::'],
    ['hides errors', (n) => (n === 3 ? 'allow:allows:' : (RIGHT.get(n) ?? ''))],
    ['takes values of the wrong type', (n) => (n === '1' ? 'allow:allows:' : (RIGHT.get(n) ?? ''))],
    [
      'throws',
      () => {
        throw new Error('broken');
      },
    ],
  ])('does not open a gate whose compiled evaluator %s', (_name, evaluate) => {
    expect(() => proveEvaluator('the compiled evaluator', evaluate)).toThrow(
      expect.objectContaining({ code: 'ERR_PDP_SELF_TEST' }),
    );
    expect(() => proveEvaluator('the compiled evaluator', (n) => RIGHT.get(n) ?? '')).not.toThrow();
  });

  it('stops a PDP from being made', () => {
    const load = (): Cedar => ({
      ...loadCedar(),
      statefulIsAuthorized: () => ({ type: 'failure', errors: [], warnings: [] }),
    });
    const deps = { load, defer: () => undefined };
    const start = () => createPdp({ catalogue: CATALOGUE, policies: [] }, { engine: createEngine(deps) });
    expect(start).toThrow(expect.objectContaining({ code: 'ERR_PDP_SELF_TEST' }));
  });
});
