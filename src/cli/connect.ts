import { once } from 'node:events';
import { parseUpstreamName, SallyportError } from '../base/index.ts';
import { assertionFromKeyFile, runConnector, startLoopback } from '../connector/index.ts';

export type ConnectOptions = {
  /** MCP endpoint of the gateway: `<public URL>/mcp/<upstream>`. */
  readonly url: string;
  readonly key: string;
  readonly issuer: string;
  readonly subject: string;
  readonly purpose: string;
  /** Listens on this loopback port instead of speaking on stdio; 0 takes a free one. */
  readonly http?: number;
  readonly complain: (line: string) => void;
};

/** Runs the connector on stdin and stdout until its client closes stdin. */
export async function connect(options: ConnectOptions): Promise<number> {
  const { gateway, upstream } = splitEndpoint(options.url);
  const { key, issuer, subject, purpose, complain, http } = options;
  const common = {
    gateway,
    upstream,
    attest: () => assertionFromKeyFile(key, { issuer, subject, audience: gateway }),
    intent: { purpose },
    log: (message: string, fields?: object) => complain(JSON.stringify({ message, ...fields })),
  };
  const signal = stopSignal();
  if (http === undefined) {
    await runConnector({ ...common, stdin: process.stdin, stdout: process.stdout, signal });
    return 0;
  }
  await using loopback = await startLoopback({ ...common, port: http });
  complain(JSON.stringify({ message: 'listening', url: loopback.url }));
  if (!signal.aborted) await once(signal, 'abort');
  return 0;
}

function splitEndpoint(endpoint: string): { gateway: string; upstream: string } {
  const match = /^(https?:\/\/.+)\/mcp\/([^/?#]+)$/.exec(endpoint);
  const upstream = parseUpstreamName(match?.[2]);
  if (match?.[1] === undefined || upstream === undefined) {
    throw new SallyportError(
      'ERR_CONFIG_INVALID',
      'url must be <gateway>/mcp/<upstream>, such as http://127.0.0.1:8474/mcp/files',
    );
  }
  return { gateway: match[1], upstream };
}

function stopSignal(): AbortSignal {
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort());
  process.once('SIGTERM', () => stop.abort());
  return stop.signal;
}
