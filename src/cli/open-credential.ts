import { createPrivateKey, type KeyObject } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { SallyportError } from '../base/index.ts';
import {
  awsStsIssuer,
  clientCredentialsIssuer,
  createRunCredentials,
  type Database,
  gitHubAppIssuer,
  postgresRoleIssuer,
  type RunCredentialIssuer,
  readSecret,
  type SecretPlace,
  staticSecretSource,
  tokenExchangeIssuer,
} from '../credentials/index.ts';
import type { CredentialDeps, UpstreamConfig } from '../gateway/index.ts';
import type { CredentialSource } from '../identity/index.ts';

export type OpenCredentialDeps = CredentialDeps & {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
};

const CONNECT_MILLISECONDS = 5_000;
const QUERY_MILLISECONDS = 10_000;

/** The adapter for a kind of credential, with the secrets it needs. Throws `ERR_KEY_INVALID` when one is missing. */
export async function openCredential(
  { name, credential, transport }: UpstreamConfig,
  deps: OpenCredentialDeps,
): Promise<CredentialSource> {
  const perRun = (issuer: RunCredentialIssuer): CredentialSource =>
    createRunCredentials(issuer, { upstream: name, journal: deps.journal, now: deps.now, pause });
  const url = transport.kind === 'http' ? transport.url : '';
  switch (credential.kind) {
    case 'oauth-client-credentials':
      return perRun(clientCredentialsIssuer(oauthOptions(credential, url), deps));
    case 'token-exchange':
      return perRun(tokenExchangeIssuer(oauthOptions(credential, url), deps));
    case 'postgres-role': {
      const connectionString = await readSecret(credential.admin, deps.environment);
      return perRun(
        postgresRoleIssuer(credential, { connect: () => connect(connectionString), now: deps.now }),
      );
    }
    case 'aws-sts': {
      const { sessionPolicy, endpoint = `https://sts.${credential.region}.amazonaws.com/` } = credential;
      const policy = sessionPolicy === undefined ? {} : { sessionPolicy };
      const { region, roleArn, audience } = credential;
      return perRun(awsStsIssuer({ endpoint, region, roleArn, audience, ...policy }, deps));
    }
    case 'github-app': {
      const { variable, ...app } = credential;
      const key = await readPrivateKey(credential.key, deps);
      return perRun(
        gitHubAppIssuer({ ...app, ...(variable === undefined ? {} : { variable }) }, { ...deps, key }),
      );
    }
    case 'static': {
      const { variable, secret } = credential;
      const id = 'env' in secret ? `env:${secret.env}` : 'file';
      const options = { id, secret: await readSecret(secret, deps.environment) };
      return staticSecretSource(variable === undefined ? options : { ...options, variable });
    }
    case 'none':
    case 'call-token':
      throw new TypeError('credential.kind: is one that the gateway has itself');
  }
}

type OAuthEntry = Extract<UpstreamConfig['credential'], { issuer: string }>;

function oauthOptions({ issuer, clientId, resource, scope }: OAuthEntry, url: string) {
  return { issuer, clientId, resource: resource ?? url, ...(scope === undefined ? {} : { scope }) };
}

async function connect(connectionString: string): Promise<Database> {
  const client = new pg.Client({
    connectionString,
    connectionTimeoutMillis: CONNECT_MILLISECONDS,
    query_timeout: QUERY_MILLISECONDS,
    application_name: 'sallyport',
  });
  client.on('error', () => undefined); // a connection that breaks fails the query that is under way
  await client.connect();
  return client;
}

async function readPrivateKey(place: SecretPlace, { environment }: OpenCredentialDeps): Promise<KeyObject> {
  const pem = await readSecret(place, environment);
  try {
    return createPrivateKey(pem);
  } catch {
    // No cause: it may quote the key.
    throw new SallyportError('ERR_KEY_INVALID', 'credential.key: is not a private key in PEM form');
  }
}
