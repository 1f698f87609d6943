import { randomBytes } from 'node:crypto';
import { explaining } from './explain.ts';
import type { Memory } from './memory.ts';
import { observingArguments } from './observe-arguments.ts';
import { observing } from './observe-result.ts';
import { observeConstants, observeIntent, observePrincipal } from './observe-said.ts';
import { atOnce } from './pace.ts';
import type { ProvenanceIndex } from './provenance.ts';
import { createInterned, createLabelSets } from './small-tables.ts';
import { createValueIndex, DEFAULT_LIMITS, type Limits } from './value-index.ts';

export type ProvenanceOptions = {
  /** From `createProvenanceSecret`; one per process. */
  readonly secret: string;
  readonly limits?: Limits;
};

const SECRET_BYTES = 64;

/** What makes digests of values unreadable outside the process. */
export const createProvenanceSecret = (): string => randomBytes(SECRET_BYTES / 2).toString('hex');

const MAX_CALLS = 65_536;
const MAX_FIELDS = 4_096;

/** The index of one delegation tree. */
export function openProvenance({ secret, limits = DEFAULT_LIMITS }: ProvenanceOptions): ProvenanceIndex {
  if (secret.length !== SECRET_BYTES) throw new TypeError(`secret must have ${SECRET_BYTES} characters`);
  const labels = createLabelSets();
  const index = createValueIndex(secret, limits, labels.union);
  const memory: Memory = {
    index,
    labels,
    calls: createInterned(MAX_CALLS),
    fields: createInterned(MAX_FIELDS),
    spelledOut: new Set(),
    speaksOfPeople: false,
    mayPointAtAnything: false,
  };
  return {
    observeIntent: (intent) => observeIntent(intent, memory),
    observePrincipal: (names) => observePrincipal(names, memory),
    observeConstants: (values) => observeConstants(values, memory),
    observeArguments: (call) => atOnce(observingArguments(call, memory)),
    observingArguments: (call) => observingArguments(call, memory),
    observeResult: (result) => atOnce(observing(result, memory)),
    observing: (result) => observing(result, memory),
    observeGap() {
      index.seal();
      memory.mayPointAtAnything = true;
    },
    explain: (args, annotations, answers) => atOnce(explaining(args, annotations, memory, answers)),
    explaining: (args, annotations, answers) => explaining(args, annotations, memory, answers),
    get size() {
      return index.size;
    },
  };
}
