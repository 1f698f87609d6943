import type { JsonRpcMessage } from '../upstream/index.ts';
import type { CallResult } from './call.ts';

/** What came back to a message that the gateway sent on the client's behalf. */
export type Collected = { readonly response?: JsonRpcMessage; readonly session?: string };

/**
 * Reads an answer to its response as an agent would, so that it is filtered and recorded like any other. Undefined
 * when it broke off. `beside` gets what the server says besides.
 */
export async function collectAnswer(
  { relayed }: Extract<CallResult, { kind: 'answered' }>,
  beside: (message: JsonRpcMessage) => void = () => undefined,
): Promise<Collected | undefined> {
  const { body } = relayed.answer;
  const session = relayed.session === undefined ? {} : { session: relayed.session };
  let response: JsonRpcMessage | undefined;
  const take = async (message: JsonRpcMessage): Promise<void> => {
    const released = await relayed.release(message);
    if (released?.['method'] !== undefined) beside(released);
    else response ??= released;
  };
  try {
    if (body.kind === 'message') await take(body.message);
    if (body.kind === 'stream') {
      for await (const { message } of body.events) {
        if (message !== undefined) await take(message);
        if (response !== undefined) break;
      }
    }
  } catch (error) {
    await relayed.finish(error);
    return undefined;
  }
  await relayed.finish();
  return { ...session, ...(response === undefined ? {} : { response }) };
}
