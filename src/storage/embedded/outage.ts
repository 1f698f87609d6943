import { type CallId, type RunId, SallyportError } from '../../base/index.ts';
import {
  type EncodedBody,
  encodeBody,
  type NewRecord,
  type OutcomeRecord,
  type Receipt,
} from '../../intent-log/index.ts';
import type { Said } from './worker-messages.ts';

/** A record on its way into the log, and whoever waits for it. */
export type Waiting = {
  readonly body: EncodedBody;
  /** What of it is kept beside it. */
  readonly said: Said | undefined;
  /** What the record says, as far as another one may not contradict it. */
  readonly fact: Fact | undefined;
  /** What has happened already is written down however late it gets. */
  readonly isDue: boolean;
  resolve: (receipt: Receipt) => void;
  reject: (error: Error) => void;
  /** Its caller was told that it is not recorded. */
  isUnheard: boolean;
};

type Fact =
  | { readonly type: 'intent'; readonly call: CallId; readonly run: RunId }
  | { readonly type: 'outcome'; readonly call: CallId }
  | { readonly type: 'run.close'; readonly run: RunId };

/** Facts remembered, at most: many times what one outage leaves behind. */
const REMEMBERED = 20_000;
const DUE: ReadonlySet<NewRecord['type']> = new Set([
  'outcome',
  'run.close',
  'credential.revoked',
  'key.change',
  'erasure',
  'gap',
]);

export function waitingFor(
  record: NewRecord,
  said: Said | undefined,
  { resolve, reject }: Pick<Waiting, 'resolve' | 'reject'>,
): Waiting {
  const body = encodeBody(record);
  return { body, said, fact: factOf(record), isDue: DUE.has(record.type), resolve, reject, isUnheard: false };
}

function factOf(record: NewRecord): Fact | undefined {
  switch (record.type) {
    case 'intent':
      return { type: 'intent', call: record.call, run: record.run };
    case 'outcome':
      return { type: 'outcome', call: record.call };
    case 'run.close':
      return { type: 'run.close', run: record.run };
    default:
      return undefined;
  }
}

/**
 * What becomes of records while the second copy does not answer. Nothing new begins. What is on this disk already, and
 * what has happened already, gets into both copies later, although its caller is told that it is not recorded: what the
 * log says of it stays true, and is not said twice.
 */
export class Outage {
  readonly #facts = new Map<string, Promise<Receipt>>();
  #why: SallyportError | undefined;

  /** Set while it lasts. */
  get why(): SallyportError | undefined {
    return this.#why;
  }

  begin(reason: string): void {
    this.#why = new SallyportError('ERR_LOG_COPY_UNAVAILABLE', reason);
  }

  end(): void {
    this.#why = undefined;
  }

  /** Turns the caller away; the record goes its way. */
  turnAway(waiting: Waiting): void {
    if (waiting.isUnheard) return;
    const late = Promise.withResolvers<Receipt>();
    late.promise.catch(() => undefined); // nobody may ever ask
    const { reject, fact } = waiting;
    Object.assign(waiting, { resolve: late.resolve, reject: late.reject, isUnheard: true });
    if (fact !== undefined) this.#remember(fact, late.promise);
    reject(this.#why ?? unheard());
  }

  /** Turns the caller of a record away that was not written yet. Is it to be written later? */
  keeps(waiting: Waiting): boolean {
    if (waiting.isDue) this.turnAway(waiting);
    else waiting.reject(this.#why ?? unheard());
    return waiting.isDue;
  }

  /**
   * What became of a record that says what an unheard one has said. A refusal of a call whose intent is unheard is
   * rejected: that call has its intent and gets an outcome. Undefined for every other record.
   */
  answerTo(record: NewRecord): Promise<Receipt> | undefined {
    if (this.#facts.size === 0) return undefined;
    if (record.type === 'refusal' && this.#facts.has(`intent ${record.call}`))
      return Promise.reject(unheard());
    const fact = factOf(record);
    return fact === undefined ? undefined : this.#facts.get(keyOf(fact));
  }

  #remember(fact: Fact, receipt: Promise<Receipt>): void {
    this.#facts.set(keyOf(fact), receipt);
    if (this.#facts.size <= REMEMBERED) return;
    const [oldest] = this.#facts.keys();
    if (oldest !== undefined) this.#facts.delete(oldest);
  }
}

function unheard(): SallyportError {
  const why = 'the second copy of the log had the intent of the call too late; nothing was sent';
  return new SallyportError('ERR_LOG_COPY_UNAVAILABLE', why);
}

function keyOf(fact: Fact): string {
  return fact.type === 'run.close' ? `run.close ${fact.run}` : `${fact.type} ${fact.call}`;
}

/** The outcome of an intent that is unheard: nothing was sent. Undefined for any other record. */
export function outcomeOfUnheard({ fact, isUnheard }: Waiting, leaf: string): OutcomeRecord | undefined {
  if (!isUnheard || fact?.type !== 'intent') return undefined;
  const { call, run } = fact;
  const detail = 'nothing was sent: the second copy of the log had the intent too late';
  return { type: 'outcome', call, run, intent: leaf, status: 'cancelled', micros: 0, detail };
}
