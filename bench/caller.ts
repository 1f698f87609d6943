import { Client } from 'undici';
import type { Address } from './load-protocol.ts';
import { callMessage, defectOfAnswer, PROTOCOL_VERSION, toolNames } from './messages.ts';
import { createRunIdentity, type RunIdentity } from './run-identity.ts';

type Headers = Record<string, string>;
type Prepared = {
  readonly id: number;
  readonly nonce: string;
  readonly body: string;
  readonly headers: Headers;
};

/** One agent: one kept-alive connection, one MCP session, one run of its own where the target asks for one. */
export class Caller {
  readonly #address: Address;
  readonly #index: number;
  readonly #path: string;
  readonly #client: Client;
  readonly #run: RunIdentity | undefined;
  #session: Headers = {};
  #opened = false;
  #lastId = 0;
  #prepared: Prepared[] = [];

  constructor(address: Address, index: number) {
    const url = new URL(address.url);
    this.#address = address;
    this.#index = index;
    this.#path = url.pathname;
    this.#client = new Client(url.origin, { pipelining: 1 });
    this.#run = address.grant && createRunIdentity(address.grant);
  }

  /**
   * Gets everything ready that is not to be timed: token, session, an open connection (one checked call goes
   * over it), and the signed requests of the next `call`s. Proofs age: call within 50 seconds.
   */
  async prepare(calls: number): Promise<void> {
    await this.#run?.renew();
    if (!this.#opened) await this.#initialize();
    this.#prepared = Array.from({ length: calls + 1 }, () => this.#nextCall());
    await this.call();
  }

  /** Sends the next prepared request and checks that the answer is its own. */
  async call(): Promise<void> {
    const prepared = this.#prepared.pop();
    if (prepared === undefined) throw new Error('no prepared call is left');
    const { status, text } = await this.#post(prepared.body, prepared.headers);
    const defect = defectOfAnswer(status, text, prepared.id, prepared.nonce);
    if (defect !== undefined) throw new Error(`${this.#address.name}: ${defect}`);
  }

  async #initialize(): Promise<void> {
    const params = {
      protocolVersion: PROTOCOL_VERSION,
      capabilities: {},
      clientInfo: { name: 'bench', version: '1.0.0' },
    };
    const hello = JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params });
    const { status, text, session } = await this.#post(hello, this.#headers());
    if (status !== 200)
      throw new Error(`${this.#address.name}: initialize: status ${status}: ${text.slice(0, 500)}`);
    this.#session = {
      'mcp-protocol-version': PROTOCOL_VERSION,
      ...(session !== undefined && { 'mcp-session-id': session }),
    };
    const ready = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' });
    await this.#post(ready, this.#headers());
    this.#opened = true;
  }

  #nextCall(): Prepared {
    const id = ++this.#lastId;
    const nonce = `${this.#address.name}-${this.#index}-${id}-${Math.random().toString(36).slice(2)}`;
    const tool = toolNames[(this.#index + id) % toolNames.length] ?? '';
    return { id, nonce, body: callMessage(id, tool, nonce), headers: this.#headers() };
  }

  #headers(): Headers {
    return {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...this.#session,
      ...this.#run?.headers(this.#address.url),
    };
  }

  async #post(body: string, headers: Headers) {
    const answer = await this.#client.request({ path: this.#path, method: 'POST', headers, body });
    const session = answer.headers['mcp-session-id'];
    const text = await answer.body.text();
    return { status: answer.statusCode, text, session: typeof session === 'string' ? session : undefined };
  }
}
