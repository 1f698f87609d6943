import type { JsonObject, JsonValue } from '../../src/base/index.ts';
import type { ToolAnnotations } from '../../src/cedar/index.ts';
import {
  createProvenanceSecret,
  type Limits,
  openProvenance,
  type ProvenanceFacts,
  type ProvenanceIndex,
} from '../../src/cedar/provenance/index.ts';

const secret = createProvenanceSecret();

/** A read of the owner's own systems, unless it is said otherwise. */
export const tool = (changes: Partial<ToolAnnotations> = {}): ToolAnnotations => ({
  effect: 'read',
  sink: 'none',
  resultTrust: 'own',
  keyArguments: [],
  contentArguments: [],
  ...changes,
});

/** Reads what others wrote. */
export const INBOX = tool({ resultTrust: 'thirdParty' });

/** Sends to others. */
export const SEND = tool({
  effect: 'write',
  sink: 'external',
  capability: 'send-message',
  keyArguments: [
    { path: 'to', kind: 'address' },
    { path: 'record', kind: 'identifier' },
  ],
  contentArguments: ['body'],
});

export const textResult = (text: string): JsonObject => ({ content: [{ type: 'text', text }] });

/** An index with a hand to feed and question it. */
export type Desk = {
  readonly index: ProvenanceIndex;
  /** A call of a tool and its result; the call id is `call-<n>`, from 1. */
  sees(
    annotations: ToolAnnotations,
    result: JsonValue | string,
    options?: { args?: JsonObject; labels?: string[] },
  ): void;
  writes(annotations: ToolAnnotations, args: JsonObject): void;
  facts(args: JsonObject, annotations?: ToolAnnotations): ProvenanceFacts;
  /** Level of one address. */
  address(value: JsonValue): string;
  /** Level of one identifier. */
  identifier(value: JsonValue): string;
};

export function openDesk(
  request = '',
  options: { limits?: Limits; principal?: string[]; constants?: string[] } = {},
): Desk {
  const { limits, principal = [], constants = [] } = options;
  const index = openProvenance({ secret, ...(limits === undefined ? {} : { limits }) });
  index.observePrincipal(principal);
  index.observeConstants(constants);
  index.observeIntent({ text: request });
  let calls = 0;
  const facts = (args: JsonObject, annotations = SEND) => index.explain(args, annotations).facts;
  return {
    index,
    sees(annotations, result, { args = {}, labels = [] } = {}) {
      calls++;
      const whole =
        typeof result === 'string' ? textResult(result) : { content: [], structuredContent: result };
      index.observeResult({ call: `call-${calls}`, annotations, args, labels, result: whole });
    },
    writes: (annotations, args) => index.observeArguments({ call: 'write', annotations, args }),
    facts,
    address: (value) => facts({ to: value }).address,
    identifier: (value) => facts({ record: value }).identifier,
  };
}
