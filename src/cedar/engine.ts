import type {
  AuthorizationAnswer,
  CedarValueJson,
  EntityJson,
  SchemaJson,
  TypeAndId,
} from '@cedar-policy/cedar-wasm/nodejs';
import { type Cedar, loadCedar } from './cedar-wasm.ts';
import { selfTest } from './self-test.ts';

/** Policies and the schema to read requests with. Two units with one id are the same unit. */
export type Unit = {
  readonly id: string;
  readonly schema: SchemaJson<string>;
  /** Policy text by id. */
  readonly policies: Readonly<Record<string, string>>;
};

export type Query = {
  readonly principal: TypeAndId;
  readonly action: TypeAndId;
  readonly resource: TypeAndId;
  readonly context: Record<string, CedarValueJson>;
  readonly entities: EntityJson[];
};

/** Cedar's answer. Whoever reads it must refuse when there are `errors`: a forbid that errs is skipped. */
export type Verdict =
  | {
      readonly kind: 'decided';
      readonly allow: boolean;
      /** Ids of the determining policies, sorted. */
      readonly reasons: readonly string[];
      /** `<policy id>: <message>`, sorted. */
      readonly errors: readonly string[];
    }
  | { readonly kind: 'failed'; readonly detail: string };

export type Engine = {
  /** Never throws, always validates the request against the schema. */
  evaluate(unit: Unit, query: Query): Verdict;
  /** How many instances were given up because they threw. */
  readonly restarts: number;
};

export type EngineDeps = {
  readonly load: () => Cedar;
  /** Runs a task later, off the present call. */
  readonly defer: (task: () => void) => void;
};

const DEPS: EngineDeps = { load: loadCedar, defer: (task) => setTimeout(task, SPARE_DELAY).unref() };

/** A spare takes some 40 ms to make: not in the way of a start or of the call that needed the last one. Milliseconds. */
const SPARE_DELAY = 250;

/** Preparsed policies an instance may hold; each takes about 1.5 KB that wasm never gives back. */
const MAX_PREPARSED = 8_000;

/**
 * An exception that leaves wasm leaks its stack, and after about a thousand of them every call traps. So an
 * instance that has thrown is replaced: by the spare, or for want of one after a few more exceptions, which
 * are far from enough to hurt.
 */
const MAX_THROWS = 32;

/**
 * An evaluator that outlives its own failures. Throws `ERR_PDP_SELF_TEST` when the loaded engine cannot show
 * that it permits and forbids.
 */
export function createEngine(deps: EngineDeps = DEPS): Engine {
  let instance = start(deps);
  let spare: Instance | undefined;
  let restarts = 0;
  prepareSpare();

  function prepareSpare(): void {
    deps.defer(() => {
      try {
        spare ??= start(deps);
      } catch {
        spare = undefined; // `recycle` starts one itself, or keeps refusing
      }
    });
  }

  function recycle(error: unknown): void {
    instance.throws++;
    const isTrap = !(error instanceof Error) || error instanceof RangeError || isWasmTrap(error);
    if (spare === undefined && !isTrap && instance.throws < MAX_THROWS) return;
    instance = spare ?? start(deps);
    spare = undefined;
    restarts++;
    prepareSpare();
  }

  return {
    get restarts() {
      return restarts;
    },
    evaluate(unit, query) {
      try {
        const defect = prepare(instance, unit);
        if (defect !== undefined) return { kind: 'failed', detail: defect };
        return toVerdict(authorize(instance.cedar, unit.id, query));
      } catch (error) {
        try {
          recycle(error);
        } catch (fatal) {
          return { kind: 'failed', detail: `engine does not start: ${String(fatal)}` };
        }
        return { kind: 'failed', detail: `engine threw: ${String(error)}` };
      }
    },
  };
}

type Instance = {
  readonly cedar: Cedar;
  /** Number of policies of each unit that is preparsed, least recently used first. */
  readonly units: Map<string, number>;
  preparsed: number;
  throws: number;
};

function start({ load }: EngineDeps): Instance {
  const cedar = load();
  selfTest(cedar);
  return { cedar, units: new Map(), preparsed: 0, throws: 0 };
}

function isWasmTrap(error: Error): boolean {
  return error.name === 'RuntimeError';
}

/** Makes sure that a unit is preparsed. Returns what is wrong with it, if anything. */
function prepare(instance: Instance, unit: Unit): string | undefined {
  const { cedar, units } = instance;
  const known = units.get(unit.id);
  if (known !== undefined) {
    units.delete(unit.id);
    units.set(unit.id, known);
    return undefined;
  }
  const schema = cedar.preparseSchema(unit.id, unit.schema);
  if (schema.type === 'failure') return `schema: ${messagesOf(schema.errors)}`;
  const policies = cedar.preparsePolicySet(unit.id, { staticPolicies: { ...unit.policies } });
  if (policies.type === 'failure') return `policies: ${messagesOf(policies.errors)}`;
  const count = Object.keys(unit.policies).length + 1;
  units.set(unit.id, count);
  instance.preparsed += count;
  for (const [id, size] of units) {
    if (instance.preparsed <= MAX_PREPARSED || id === unit.id) break;
    forget(instance, id, size);
  }
  return undefined;
}

/** There is no way to remove a unit, but its memory is used again once nothing is in it. */
function forget(instance: Instance, id: string, size: number): void {
  instance.cedar.preparsePolicySet(id, {});
  instance.cedar.preparseSchema(id, {});
  instance.units.delete(id);
  instance.preparsed -= size;
}

/** One authorization with a preparsed unit. */
function authorize(cedar: Cedar, unit: string, query: Query): AuthorizationAnswer {
  const { principal, action, resource, context, entities } = query;
  return cedar.statefulIsAuthorized({
    principal,
    action,
    resource,
    context,
    entities,
    preparsedSchemaName: unit,
    preparsedPolicySetId: unit,
    validateRequest: true,
  });
}

function toVerdict(answer: AuthorizationAnswer): Verdict {
  if (answer.type !== 'success') {
    return { kind: 'failed', detail: `request refused by the engine: ${messagesOf(answer.errors)}` };
  }
  const { decision, diagnostics } = answer.response;
  return {
    kind: 'decided',
    allow: decision === 'allow',
    reasons: [...diagnostics.reason].sort(),
    errors: diagnostics.errors.map(({ policyId, error }) => `${policyId}: ${error.message}`).sort(),
  };
}

function messagesOf(errors: readonly { readonly message: string }[]): string {
  return errors.map((error) => error.message).join('; ');
}
