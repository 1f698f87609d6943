import { isJsonObject, type JsonObject, SallyportError } from '../base/index.ts';

const MAX_BYTES = 256 * 1024;

/** The text of an answer of an authorization server. Rejects with `ERR_REQUEST_REFUSED` above 256 KiB. */
export async function readText({ body }: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body ?? []) {
    bytes += chunk.length;
    if (bytes > MAX_BYTES) {
      throw new SallyportError('ERR_REQUEST_REFUSED', `the answer is larger than ${MAX_BYTES} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** A JSON object, undefined when the text is anything else. */
export function parseObject(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
