import { once } from 'node:events';
import { parseUpstreamName, SallyportError } from '../base/index.ts';
import { type Credential, openResource } from '../client/index.ts';
import {
  assertionFromFile,
  assertionFromKeyFile,
  type ConnectorLog,
  carryLines,
  type LoginPage,
  listen,
  openLoginPage,
  startTarget,
  type Target,
} from '../connector/index.ts';

/** What `sallyport connect` was told. */
export type ConnectFlags = {
  readonly key?: string;
  readonly issuer?: string;
  readonly subject?: string;
  readonly assertionFile?: string;
  readonly purpose?: string;
  /** Listens on this loopback port instead of speaking on stdio; 0 takes a free one. */
  readonly http?: number;
  readonly direct?: boolean;
  /** A client id, or true for a client that registers itself. */
  readonly login?: string | true;
  readonly authorizationServer?: string;
  readonly allowBearer?: boolean;
};

export type ConnectOptions = ConnectFlags & {
  /** MCP endpoint of the gateway: `<public URL>/mcp/<upstream>`; with `direct` that of any server. */
  readonly url: string;
  readonly complain: (line: string) => void;
};

/** Runs the connector on stdin and stdout until its client closes stdin. */
export async function connect(options: ConnectOptions): Promise<number> {
  const { complain, http } = options;
  const log: ConnectorLog = (message, fields) => complain(JSON.stringify({ message, ...fields }));
  await using login = options.login === undefined ? undefined : await openLoginPage(log);
  const target =
    options.direct === true ? await openDirectly(options, login, log) : await openRun(options, log);
  const signal = stopSignal();
  if (http === undefined) {
    await carryLines(target, { stdin: process.stdin, stdout: process.stdout, signal, log });
    return 0;
  }
  await using loopback = await listen(target, { port: http, log });
  complain(JSON.stringify({ message: 'listening', url: loopback.url }));
  if (!signal.aborted) await once(signal, 'abort');
  return 0;
}

async function openRun(options: ConnectOptions, log: ConnectorLog): Promise<Target> {
  const { gateway, upstream } = splitEndpoint(options.url);
  const { purpose, login, authorizationServer, allowBearer } = options;
  if (purpose === undefined) throw misuse('purpose is missing: what the run is for, one of the agent');
  if (login !== undefined || authorizationServer !== undefined || allowBearer !== undefined) {
    throw misuse(
      'login, authorization-server and allow-bearer are for servers without a gateway: add --direct',
    );
  }
  const attest = assertionSource(options);
  return startTarget({ gateway, upstream, attest: () => attest(gateway), intent: { purpose }, log });
}

async function openDirectly(
  options: ConnectOptions,
  login: LoginPage | undefined,
  log: ConnectorLog,
): Promise<Target> {
  const { url, authorizationServer, allowBearer = false, purpose } = options;
  if (purpose !== undefined)
    throw misuse('purpose is for gateways, which hold a run to it: leave out --direct');
  const credential = login === undefined ? workloadCredential(options) : loginCredential(options, login);
  const resource = await openResource({
    url,
    credential,
    allowBearer,
    log,
    ...(authorizationServer === undefined ? {} : { issuer: authorizationServer }),
  });
  return { ...resource, end: async () => undefined };
}

function loginCredential({ login, key, assertionFile }: ConnectOptions, page: LoginPage): Credential {
  if (key !== undefined || assertionFile !== undefined)
    throw misuse('login needs no key and no assertion-file');
  const { redirectUri, visit } = page;
  return { kind: 'login', redirectUri, visit, ...(typeof login === 'string' ? { clientId: login } : {}) };
}

function workloadCredential(options: ConnectOptions): Credential {
  const { subject, assertionFile } = options;
  const assertion = assertionSource(options);
  if (assertionFile === undefined && subject !== undefined) {
    return { kind: 'client-assertion', clientId: subject, assertion };
  }
  return { kind: 'assertion', assertion, ...(subject === undefined ? {} : { clientId: subject }) };
}

/** Assertions for an authorization server, from the key or the file that was given. */
function assertionSource(options: ConnectFlags): (audience: string) => Promise<string> {
  const { key, subject, issuer = options.direct === true ? subject : undefined, assertionFile } = options;
  if (assertionFile !== undefined) {
    if (key !== undefined) throw misuse('key and assertion-file exclude each other');
    return () => assertionFromFile(assertionFile);
  }
  if (key === undefined || issuer === undefined || subject === undefined) {
    throw misuse('key, issuer and subject are needed, or an assertion-file');
  }
  return (audience) => assertionFromKeyFile(key, { issuer, subject, audience });
}

function splitEndpoint(endpoint: string): { gateway: string; upstream: string } {
  const match = /^(https?:\/\/.+)\/mcp\/([^/?#]+)$/.exec(endpoint);
  const upstream = parseUpstreamName(match?.[2]);
  if (match?.[1] === undefined || upstream === undefined) {
    throw misuse('url must be <gateway>/mcp/<upstream>, such as http://127.0.0.1:8474/mcp/files');
  }
  return { gateway: match[1], upstream };
}

function misuse(message: string): SallyportError {
  return new SallyportError('ERR_CONFIG_INVALID', message);
}

function stopSignal(): AbortSignal {
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort());
  process.once('SIGTERM', () => stop.abort());
  return stop.signal;
}
