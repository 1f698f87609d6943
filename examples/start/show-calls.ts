import { printable } from '../../src/cli/log.ts';
import type { IntentLog, IntentRecord, OutcomeRecord, RefusalRecord } from '../../src/intent-log/index.ts';

type Print = (line: string) => void;

const DESCRIBES_ITSELF = 'sallyport';
/** A client of both eras hears which one an upstream speaks, and goes on with it. */
const NEGOTIATES = 'other_revision';

/**
 * Shows each call once its record is durable: agent, what it called, decision, reason, credential, latency.
 * What clients send to keep MCP going (initialize, notifications, streams) is counted, not shown.
 */
export function showCalls(print: Print): (intentLog: IntentLog) => IntentLog {
  const open = new Map<string, IntentRecord<unknown>>();
  return (intentLog) => ({
    failed: intentLog.failed,
    [Symbol.asyncDispose]: () => intentLog[Symbol.asyncDispose](),
    async append(record) {
      const receipt = await intentLog.append(record);
      if (record.type === 'intent') open.set(record.call, record);
      if (record.type === 'refusal' && record.early?.reason !== NEGOTIATES) print(refusalLine(record));
      if (record.type === 'outcome') {
        const intent = open.get(record.call);
        open.delete(record.call);
        if (intent !== undefined && isWorthALine(intent)) print(outcomeLine(intent, record));
      }
      return receipt;
    },
  });
}

function isWorthALine({ actor, subject }: IntentRecord<unknown>): boolean {
  return actor.agent !== DESCRIBES_ITSELF && (subject.tool !== undefined || subject.method === 'tools/list');
}

function outcomeLine(
  { actor, subject, labels }: IntentRecord<unknown>,
  outcome: OutcomeRecord<unknown>,
): string {
  const credential =
    outcome.credential === undefined ? 'no credential' : `credential ${outcome.credential.id}`;
  const taint = labels === undefined ? '' : `, run is now ${labels.join(' ')}`;
  const status = outcome.status === 'ok' ? '' : `, ${outcome.status}`;
  return line(
    '✓',
    agentOf(actor),
    nameOf(subject),
    outcome.micros,
    `allowed, ${credential}${taint}${status}`,
  );
}

function refusalLine({ actor, subject, decision, early, micros }: RefusalRecord<unknown>): string {
  const reason =
    decision === undefined ? `refused: ${early?.reason}` : `${decision.code}: ${decision.reason}`;
  const why = decision?.policies.length ? `${reason} [${decision.policies.join(', ')}]` : reason;
  return line('✗', actor === undefined ? 'nobody' : agentOf(actor), nameOf(subject), micros, why);
}

function agentOf({ agent, chain }: IntentRecord['actor']): string {
  return chain.length > 1 ? `${agent} › sub-agent` : agent;
}

function nameOf(subject: RefusalRecord<unknown>['subject']): string {
  if (subject === undefined) return '?';
  return `${subject.upstream}/${subject.tool ?? subject.method}`;
}

function line(mark: string, agent: string, name: string, micros: number, text: string): string {
  const milliseconds = `${(micros / 1000).toFixed(1)} ms`.padStart(8);
  return `  ${mark} ${printable(agent).padEnd(26)} ${printable(name).padEnd(25)} ${milliseconds}  ${printable(text)}`;
}
