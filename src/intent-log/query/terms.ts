import type { LogRecord } from '../record.ts';

/** What a record can be found by; `term` strings are `field=value`. */
export type TermField =
  | 'type'
  | 'run'
  | 'call'
  | 'agent'
  | 'owner'
  | 'upstream'
  | 'method'
  | 'tool'
  | 'decision'
  | 'code'
  | 'policy'
  | 'revision'
  | 'label';

export const TERM_FIELDS: readonly TermField[] = [
  'type',
  'run',
  'call',
  'agent',
  'owner',
  'upstream',
  'method',
  'tool',
  'decision',
  'code',
  'policy',
  'revision',
  'label',
];

/** Fields with so many values that an index of them would be larger than the log's other half. */
const NOT_INDEXED: ReadonlySet<string> = new Set(['run', 'call']);

/** Longest value that is indexed; longer ones are cut on both sides alike. */
const MAX_VALUE = 200;

/** All `field=value` that a record has. An outcome has none but its ids: it belongs to its intent. */
export function termsOf(record: LogRecord): string[] {
  const terms = new Set<string>();
  const add = (field: TermField, value: string | undefined): void => {
    if (value !== undefined) terms.add(toTerm(field, value));
  };
  add('type', record.type);
  if ('call' in record) add('call', record.call);
  if ('run' in record) add('run', record.run);
  switch (record.type) {
    case 'intent':
    case 'refusal': {
      const { actor, subject, decision } = record;
      add('agent', actor?.agent);
      add('owner', actor?.owner);
      add('upstream', subject?.upstream);
      add('method', subject?.method);
      add('tool', subject?.tool === undefined ? undefined : `${subject.upstream}/${subject.tool}`);
      add('decision', decision?.effect ?? 'refused');
      add('code', decision?.code ?? (record.type === 'refusal' ? record.early?.reason : undefined));
      add('revision', decision?.revision);
      for (const policy of decision?.policies ?? []) add('policy', policy);
      for (const label of (record.type === 'intent' ? record.labels : undefined) ?? []) add('label', label);
      break;
    }
    case 'taint':
      for (const label of record.labels) add('label', label);
      break;
    case 'run.open':
      add('agent', record.agent);
      add('owner', record.owner.name);
      break;
    case 'toolset.pin':
      add('upstream', record.upstream);
      break;
    case 'policyset.load':
      add('revision', record.revision);
      for (const policy of record.policies) add('policy', policy);
      break;
    case 'erasure':
      for (const run of record.runs) add('run', run);
      break;
    default:
      break;
  }
  return [...terms];
}

/** Those of them that an index should hold. Outcomes are found through their intents. */
export function indexedTermsOf(record: LogRecord): string[] {
  if (record.type === 'outcome') return [];
  return termsOf(record).filter((term) => !NOT_INDEXED.has(fieldOf(term)));
}

export function toTerm(field: TermField, value: string): string {
  return `${field}=${value.slice(0, MAX_VALUE)}`;
}

/** Can an index answer for a term? */
export function isIndexed(term: string): boolean {
  return !NOT_INDEXED.has(fieldOf(term));
}

function fieldOf(term: string): string {
  return term.slice(0, term.indexOf('='));
}
